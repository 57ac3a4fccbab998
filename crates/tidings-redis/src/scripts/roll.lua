-- Who is in a room, by living nodes.
-- KEYS: 1 users, 2 nodes in the room
-- ARGV: 1 the node that asks, 2 room, 3 channel, 4 after this user (empty: from the first), 5 at most so
--       many users, 6 what the leases' names begin with, 7 at most so many users of a dead node are taken
--       out first
-- Gives {users on all pages, 1 if this is the last one, {user, connections, …}}.
local here, bury_max = KEYS[1], tonumber(ARGV[7])
local live = {}
for _, node in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  local lease = ARGV[6] .. node
  if node == ARGV[1] or counts(lease) then
    live[#live + 1] = node
  elseif bury_max > 0 then
    bury(here, KEYS[2], ARGV[2], ARGV[3], node, lease, bury_max)
  end
end
local most = tonumber(ARGV[5])
local users = redis.call('ZRANGEBYLEX', here, ARGV[4] == '' and '-' or '(' .. ARGV[4], '+', 'LIMIT', 0, most + 1)
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
return {redis.call('ZCARD', here) - (#users - #page / 2), complete and 1 or 0, page}
