-- A node says that it lives, and learns who else does.
-- KEYS: 1 all nodes, 2 this node's lease
-- ARGV: 1 node, 2 lease (ms), 3 what the leases' names begin with, 4 what it says of itself
-- Gives {1 if the lease had not ended, live nodes, dead nodes, what each live node says, how long each
-- live node's lease lasts (ms), for how long each dead node's users still count because it stopped (ms)}.

-- What is left of a time that was to last so long at most. The server's clock may have been set back since:
-- then it begins once more, and does not wait until that clock has caught up.
local function left_of(key, most)
  local left = redis.call('PTTL', key)
  if not most or left <= most then return left end
  redis.call('PEXPIRE', key, text(most))
  return most
end

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
    left[#left + 1] = left_of(lease, tonumber(words:match('"lease_ms":(%d+)') or ''))
  else
    local grace = lease .. ':leaving'
    dead[#dead + 1] = node
    leaving[#leaving + 1] = math.max(left_of(grace, tonumber(redis.call('GET', grace) or '')), 0)
  end
end
return {lived, live, dead, said, left, leaving}
