-- Takes users of a dead node out of its rooms, and tells who has gone.
-- KEYS: 1 all nodes
-- ARGV: 1 the node, 2 its lease, 3 what all names begin with, 4 at most so many users
-- Gives 1 if there may be more.
if counts(ARGV[2]) then return 0 end
local rest = tonumber(ARGV[4])
while rest > 0 do
  local room = redis.call('SRANDMEMBER', ARGV[2] .. ':rooms')
  if not room then
    if redis.call('EXISTS', ARGV[2] .. ':sessions') == 0 then redis.call('SREM', KEYS[1], ARGV[1]) end
    return 0
  end
  local of_room = ARGV[3] .. ':{' .. room .. '}:'
  local count = bury(of_room .. 'here', of_room .. 'nodes', room, of_room .. 'live', ARGV[1], ARGV[2], rest)
  rest = rest - math.max(count, 1)
end
return 1
