-- A session's connection on this node is gone: whoever claims the session within the window has it.
-- KEYS: 1 session, 2 sessions of this node
-- ARGV: 1 this node, 2 record, 3 session id, 4 window (ms); 0 ends the session
redis.call('SREM', KEYS[2], ARGV[3])
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
if ARGV[4] == '0' then return redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'owner', '', 'record', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
