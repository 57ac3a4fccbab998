-- A node has a session: what would be left behind is written down, unless another node has it.
-- KEYS: 1 session, 2 sessions of this node
-- ARGV: 1 this node, 2 record, 3 user, 4 session id, 5 now (ms), 6 a node that does not live
-- Gives 1, or the node that has it.
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= '' and owner ~= ARGV[1] and owner ~= ARGV[6] then return owner end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'record', ARGV[2], 'user', ARGV[3])
redis.call('HSETNX', KEYS[1], 'began', ARGV[5])
redis.call('PERSIST', KEYS[1])
redis.call('SADD', KEYS[2], ARGV[4])
return 1
