-- A node has a session: what would be left behind is written down, unless another node has it.
-- KEYS: 1 session, 2 sessions of this node
-- ARGV: 1 this node, 2 record, 3 user, 4 session id, 5 now (ms), 6 what the leases' names begin with
-- Gives 1, or 0 if another node has it.
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= '' and owner ~= ARGV[1] and redis.call('EXISTS', ARGV[6] .. owner) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'record', ARGV[2], 'user', ARGV[3])
redis.call('HSETNX', KEYS[1], 'began', ARGV[5])
redis.call('PERSIST', KEYS[1])
redis.call('SADD', KEYS[2], ARGV[4])
return 1
