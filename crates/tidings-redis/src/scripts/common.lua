-- What all scripts share. A room's meta is a hash:
--   head    id of its newest message
--   birth   where what is known of the room begins: the `prev` of its first message
--   bytes   payload bytes in its log
--   hole_after, hole_before   ids between the two were given out and then lost by this server
-- Numbers are below 2^53, so Lua's are exact; they must not be printed as 1.8e+15.
local function text(number)
  return string.format('%.0f', number)
end

-- The hole in which the room has lost messages grows to (after, before], and who listens is told.
local function tear(meta, channel, after, before)
  local known = redis.call('HMGET', meta, 'hole_after', 'hole_before')
  local known_after, known_before = tonumber(known[1]), tonumber(known[2])
  if known_before and known_before >= before then return end
  local told_after = after
  if known_before and known_before >= after then after = known_after end
  redis.call('HSET', meta, 'hole_after', text(after), 'hole_before', text(before))
  redis.call('SPUBLISH', channel, 'h ' .. text(told_after) .. ' ' .. text(before) .. '\n')
end

-- Where the room's log ends, given what its meta says. A caller who has seen a greater id proves
-- that the server has lost messages (a failover to a replica that lagged, a restart without a disk):
-- the log goes on behind them, so that no id is given twice, and the loss is remembered as a hole.
-- It goes on with an id that no message has: who comes in after the loss stands there, and not where
-- those stand who saw the last message that was lost.
-- `birth` is for a room that is not known: where it begins.
local function head_of(known, meta, channel, seen, birth)
  local head = tonumber(known or false)
  if head and head >= seen then return head end
  local lost_after = head or 0
  if not head then
    head = seen > 0 and math.max(birth, seen + 1) or birth
    redis.call('HSET', meta, 'head', text(head), 'birth', text(head), 'bytes', '0')
  else
    head = seen + 1
    redis.call('HSET', meta, 'head', text(head))
  end
  if seen > 0 then tear(meta, channel, lost_after, seen) end
  return head
end
