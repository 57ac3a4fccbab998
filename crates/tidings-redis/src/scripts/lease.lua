-- A node says that it lives, and learns who else does.
-- KEYS: 1 all nodes, 2 this node's lease
-- ARGV: 1 node, 2 lease (ms), 3 what the leases' names begin with, 4 what it says of itself
-- Gives {1 if the lease had not ended, live nodes, dead nodes, what each live node says, how long each
-- live node's lease lasts (ms), for how long each dead node's users still count because it stopped (ms)}.
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
    left[#left + 1] = redis.call('PTTL', lease)
  else
    dead[#dead + 1] = node
    leaving[#leaving + 1] = math.max(redis.call('PTTL', lease .. ':leaving'), 0)
  end
end
return {lived, live, dead, said, left, leaving}
