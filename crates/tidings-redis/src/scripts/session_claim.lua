-- Somebody on this node asks for a session.
-- KEYS: 1 session, 2 sessions of this node
-- ARGV: 1 this node, 2 user the claimant says it is (empty if it says nothing), 3 session id,
--       4 a node that does not live, or said that it does not have it, 5 what the names of ended users
--       begin with
-- Gives {0} if it is not known, {1} if it is another user's, {2, node} if that node has it, and
-- {3, record} if it is this node's now.
local known = redis.call('HMGET', KEYS[1], 'owner', 'record', 'user', 'began')
local owner, user = known[1], known[3]
if not owner then return {0} end
local ended = user ~= '' and redis.call('GET', ARGV[5] .. user)
if ended and tonumber(ended) >= tonumber(known[4]) then
  redis.call('DEL', KEYS[1])
  return {0}
end
if ARGV[2] ~= '' and ARGV[2] ~= user then return {1} end
if owner ~= '' and owner ~= ARGV[1] and owner ~= ARGV[4] then return {2, owner} end
redis.call('HSET', KEYS[1], 'owner', ARGV[1])
redis.call('PERSIST', KEYS[1])
redis.call('SADD', KEYS[2], ARGV[3])
return {3, known[2]}
