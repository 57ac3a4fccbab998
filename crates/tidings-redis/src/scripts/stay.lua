-- A node says how many connections users have to a room there. Who came first of all, or went last of all,
-- is told.
-- KEYS: 1 users, 2 this node's users, 3 nodes in the room, 4 rooms of this node, 5 (left out if the users'
--       coming may be news) there if this node's users were told to have left
-- ARGV: 1 node, 2 room, 3 channel (empty: nothing is told), then user and connections (-: gone), repeated
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
local users = added + removed > 0 and redis.call('HLEN', own)
if added > 0 and users == added then
  redis.call('SADD', KEYS[3], ARGV[1])
  redis.call('SADD', KEYS[4], ARGV[2])
elseif removed > 0 and users == 0 then
  redis.call('SREM', KEYS[3], ARGV[1])
  redis.call('SREM', KEYS[4], ARGV[2])
end
if KEYS[5] and redis.call('EXISTS', KEYS[5]) == 0 then joined = {} end
tell(ARGV[3], here, joined, left)
return 0
