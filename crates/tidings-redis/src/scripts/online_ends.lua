-- A node stops: a user who is online by it alone stays so for the grace.
-- KEYS: 1 the nodes by which the user is online
-- ARGV: 1 the node, 2 the grace (ms)
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
if redis.call('HLEN', KEYS[1]) == 1 then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return redis.call('HDEL', KEYS[1], ARGV[1])
