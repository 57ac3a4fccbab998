-- A node stops: users who are online by it alone stay so for the grace.
-- KEYS: for each user the nodes by which they are online
-- ARGV: 1 the node, 2 the grace (ms)
for _, key in ipairs(KEYS) do
  if redis.call('HEXISTS', key, ARGV[1]) == 1 then
    if redis.call('HLEN', key) == 1 then
      redis.call('PEXPIRE', key, ARGV[2])
    else
      redis.call('HDEL', key, ARGV[1])
    end
  end
end
return 0
