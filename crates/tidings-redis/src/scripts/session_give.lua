-- This node gives a session to another one, which then claims it.
-- KEYS: 1 session, 2 sessions of this node, 3 sessions of the other
-- ARGV: 1 this node, 2 the other, 3 record, 4 session id
redis.call('SREM', KEYS[2], ARGV[4])
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'record', ARGV[3])
redis.call('HINCRBY', KEYS[1], 'turn', 1)
redis.call('SADD', KEYS[3], ARGV[4])
return 1
