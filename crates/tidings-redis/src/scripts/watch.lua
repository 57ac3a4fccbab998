-- A node listens to a room: tells where its log ends, and sees to it that this stays known.
-- KEYS: 1 log, 2 meta
-- ARGV: 1 newest id the caller saw in the room (0 if none), 2 channel, 3 where an unknown room begins,
--       4 ms until the room is forgotten
-- Gives {head, hole_after, hole_before}; no hole is 0, 0.
local seen = tonumber(ARGV[1])
local head = head_of(redis.call('HGET', KEYS[2], 'head'), KEYS[2], ARGV[2], seen, tonumber(ARGV[3]))
redis.call('PEXPIRE', KEYS[2], math.max(tonumber(ARGV[4]), redis.call('PTTL', KEYS[2])))
-- Somebody may have published between the loss and this call. Then the log goes on behind what was
-- lost, but its next message names one before it.
if seen > 0 and head > seen then
  local next = redis.call('XRANGE', KEYS[1], text(seen + 1), '+', 'COUNT', 1)[1]
  if next then
    local prev = tonumber(next[2][4])
    if prev < seen then tear(KEYS[2], ARGV[2], prev, seen) end
  end
end
local hole = redis.call('HMGET', KEYS[2], 'hole_after', 'hole_before')
return {head, tonumber(hole[1] or 0), tonumber(hole[2] or 0)}
