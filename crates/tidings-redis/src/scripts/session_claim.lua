-- Somebody on this node asks for a session.
-- KEYS: 1 session, 2 sessions of this node
-- ARGV: 1 this node, 2 user the claimant says it is (empty if it says nothing), 3 session id,
--       4 a node that does not live, or said that it does not have it, 5 what the names of ended users
--       begin with, 6 the turn in which that node had it: if it was told again since, the node lives after all
-- Gives {0} if it is not known, {1} if it is another user's, {2, node, turn} if that node has it, and
-- {3, record} if it is this node's now.
local known = redis.call('HMGET', KEYS[1], 'owner', 'record', 'user', 'began', 'turn')
local owner, user, turn = known[1], known[3], known[5] or '0'
if not owner then return {0} end
local ended = user ~= '' and redis.call('GET', ARGV[5] .. user)
if ended and tonumber(ended) >= tonumber(known[4]) then
  redis.call('DEL', KEYS[1])
  return {0}
end
if ARGV[2] ~= '' and ARGV[2] ~= user then return {1} end
if owner ~= '' and owner ~= ARGV[1] and not (owner == ARGV[4] and turn == ARGV[6]) then return {2, owner, turn} end
redis.call('HSET', KEYS[1], 'owner', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'turn', 1)
redis.call('PERSIST', KEYS[1])
redis.call('SADD', KEYS[2], ARGV[3])
return {3, known[2]}
