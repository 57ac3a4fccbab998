-- A node says how many connections users have to a room there. Who came first of all, or went last of all,
-- is told.
-- KEYS: 1 users, 2 this node's users, 3 nodes in the room
-- ARGV: 1 node, 2 channel (empty: nothing is told), 3 whether the users' coming is news: 1, or 0 if they were
--       entered before, unless they were told to have left since; then user and connections (-: gone), repeated
-- Gives how many users the node has in the room.
local here, own = KEYS[1], KEYS[2]
local joined, left = {}, {}
local added, removed, nodes = 0, 0, nil
for i = 4, #ARGV, 2 do
  local user, connections = ARGV[i], ARGV[i + 1]
  if connections ~= '-' then
    if redis.call('HSET', own, user, connections) == 1 then
      added = added + 1
      if redis.call('ZADD', here, 0, user) == 1 then joined[#joined + 1] = user end
    end
  elseif redis.call('HDEL', own, user) == 1 then
    removed = removed + 1
    nodes = nodes or redis.call('SMEMBERS', KEYS[3])
    if not is_elsewhere(here, nodes, ARGV[1], user) then
      redis.call('ZREM', here, user)
      left[#left + 1] = user
    end
  end
end
if ARGV[3] == '0' and #joined > 0 and redis.call('SISMEMBER', reaped_of(KEYS[3]), ARGV[1]) == 0 then joined = {} end
tell(ARGV[2], here, joined, left)
local users = redis.call('HLEN', own)
if added > 0 and users == added then
  redis.call('SADD', KEYS[3], ARGV[1])
elseif removed > 0 and users == 0 then
  redis.call('SREM', KEYS[3], ARGV[1])
end
return users
