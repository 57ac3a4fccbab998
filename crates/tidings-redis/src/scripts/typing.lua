-- A node has told its members that a user types, or does not any more: tells the others.
-- KEYS: 1 typists, scored by when they cease (ms, this server's clock)
-- ARGV: 1 channel, 2 node, 3 user, 4 1 if they type, 5 for at most so long (ms), 6 at most so many typists
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now))
-- Who began before the server's clock was set back.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. text(now + tonumber(ARGV[5])), '+inf')
if ARGV[4] ~= '1' then
  redis.call('ZREM', KEYS[1], ARGV[3])
elseif redis.call('ZSCORE', KEYS[1], ARGV[3]) or redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[6]) then
  redis.call('ZADD', KEYS[1], text(now + tonumber(ARGV[5])), ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
redis.call('SPUBLISH', ARGV[1], 'e t ' .. ARGV[4] .. ' ' .. text(#ARGV[2]) .. '\n' .. ARGV[2] .. ARGV[3])
return 0
