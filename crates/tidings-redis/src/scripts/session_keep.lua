-- A node has a session: what would be left behind is written down, unless another node has it.
-- KEYS: 1 session, 2 sessions of this node
-- ARGV: 1 this node, 2 record, 3 user, 4 session id, 5 now (ms), 6 a node that does not live,
--       7 the turn in which that one had it
-- Gives 1, or {the node that has it, the turn}.
local known = redis.call('HMGET', KEYS[1], 'owner', 'turn')
local owner, turn = known[1], known[2] or '0'
if owner and owner ~= '' and owner ~= ARGV[1] and not (owner == ARGV[6] and turn == ARGV[7]) then
  return {owner, turn}
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'record', ARGV[2], 'user', ARGV[3])
redis.call('HSETNX', KEYS[1], 'began', ARGV[5])
-- Whoever takes this node for dead by what was known before must not take the session.
redis.call('HINCRBY', KEYS[1], 'turn', 1)
redis.call('PERSIST', KEYS[1])
redis.call('SADD', KEYS[2], ARGV[4])
return 1
