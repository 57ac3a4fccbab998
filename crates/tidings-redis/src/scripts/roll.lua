-- Who is in a room, by nodes that count.
-- KEYS: 1 users, 2 nodes in the room
-- ARGV: 1 channel (empty: nothing is told), 2 after this user (empty: from the first), 3 at most so many users,
--       4 at most so many users of a dead node are taken out first, then the dead nodes
-- Gives {users on all pages, 1 if this is the last one, {user, connections, …}, the nodes that counted}.
local here, bury_max = KEYS[1], tonumber(ARGV[4])
local dead, live = {}, {}
for i = 5, #ARGV do dead[ARGV[i]] = true end
for _, node in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  if not dead[node] then
    live[#live + 1] = node
  elseif bury_max > 0 then
    bury(here, KEYS[2], ARGV[1], node, bury_max)
  end
end
local most = tonumber(ARGV[3])
local users = redis.call('ZRANGEBYLEX', here, ARGV[2] == '' and '-' or '(' .. ARGV[2], '+', 'LIMIT', 0, most + 1)
local complete = #users <= most
if not complete then users[#users] = nil end
local sums = {}
if #users > 0 then
  for _, node in ipairs(live) do
    local connections = redis.call('HMGET', here .. ':' .. node, unpack(users))
    for i = 1, #users do
      if connections[i] then sums[i] = (sums[i] or 0) + tonumber(connections[i]) end
    end
  end
end
local page = {}
for i = 1, #users do
  if sums[i] then
    page[#page + 1] = users[i]
    page[#page + 1] = sums[i]
  end
end
return {redis.call('ZCARD', here) - (#users - #page / 2), complete and 1 or 0, page, live}
