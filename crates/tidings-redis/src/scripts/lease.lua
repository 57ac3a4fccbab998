-- A node says that it lives, and learns who else does.
-- KEYS: 1 all nodes, 2 this node's lease
-- ARGV: 1 node, 2 lease (ms), 3 what the leases' names begin with
-- Gives {1 if the lease had not ended, live nodes, dead nodes}.
local lived = redis.call('EXISTS', KEYS[2])
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], '', 'PX', ARGV[2])
local live, dead = {}, {}
for _, node in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local list = redis.call('EXISTS', ARGV[3] .. node) == 1 and live or dead
  list[#list + 1] = node
end
return {lived, live, dead}
