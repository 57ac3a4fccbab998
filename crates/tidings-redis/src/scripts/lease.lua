-- A node says that it lives, and learns who else does.
-- KEYS: 1 all nodes, 2 this node's lease
-- ARGV: 1 node, 2 lease (ms), 3 what the leases' names begin with, 4 what it says of itself
-- Gives {1 if the lease had not ended, live nodes, dead nodes, what each live node says, how long each
-- live node's lease lasts (ms), for how long each dead node's users still count because it stopped (ms)}.

-- More is left of a time than it was to last at most: the server's clock was set back since. It begins once more, and
-- does not wait until that clock has caught up.
local function shorten(key, left, most)
  if not most or left <= most then return left end
  redis.call('PEXPIRE', key, text(most))
  return most
end

local longest = tonumber(ARGV[2])
local lived = redis.call('EXISTS', KEYS[2])
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[2])
local live, dead, said, left, leaving = {}, {}, {}, {}, {}
for _, node in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local lease = ARGV[3] .. node
  local words = redis.call('GET', lease)
  if words then
    live[#live + 1] = node
    said[#said + 1] = words
    local lasts = redis.call('PTTL', lease)
    -- What the node said is read only where it matters: this is done for each node by each node.
    if lasts > longest then lasts = shorten(lease, lasts, tonumber(words:match('"lease_ms":(%d+)') or '')) end
    left[#left + 1] = lasts
  else
    local grace = lease .. ':leaving'
    dead[#dead + 1] = node
    local lasts = redis.call('PTTL', grace)
    if lasts > 0 then lasts = shorten(grace, lasts, tonumber(redis.call('GET', grace) or '')) end
    leaving[#leaving + 1] = math.max(lasts, 0)
  end
end
return {lived, live, dead, said, left, leaving}
