-- Who types in a room.
-- KEYS: 1 typists, see typing.lua
-- ARGV: 1 at most so many, 2 for how long one types at most (ms): who is to cease later began before the server's
--       clock was set back
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. text(now), text(now + tonumber(ARGV[2])), 'LIMIT', 0, ARGV[1])
