-- Reads a stretch of a room's log.
-- KEYS: 1 log, 2 meta
-- ARGV: 1 after this id, 2 at most so many messages (0: only the head), 3 only ids above this one
--       (what is older has expired), 4 where an unknown room begins
-- Gives {head, birth, hole_after, hole_before, entries}; no hole is 0, 0.
local known = redis.call('HMGET', KEYS[2], 'head', 'birth', 'hole_after', 'hole_before')
if not known[1] then
  local birth = tonumber(ARGV[4])
  return {birth, birth, 0, 0, {}}
end
local entries = {}
if ARGV[2] ~= '0' then
  local from = math.max(tonumber(ARGV[1]), tonumber(ARGV[3])) + 1
  entries = redis.call('XRANGE', KEYS[1], text(from), '+', 'COUNT', ARGV[2])
end
return {tonumber(known[1]), tonumber(known[2] or 0), tonumber(known[3] or 0), tonumber(known[4] or 0), entries}
