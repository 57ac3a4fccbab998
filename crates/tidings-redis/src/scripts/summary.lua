-- What a room holds.
-- KEYS: 1 log, 2 meta
-- ARGV: 1 ids up to this one have expired
-- Gives {head, messages, bytes}.
local log, meta = KEYS[1], KEYS[2]
local bytes = tonumber(redis.call('HGET', meta, 'bytes') or 0)
local expired = redis.call('XRANGE', log, '-', ARGV[1])
for _, entry in ipairs(expired) do
  bytes = bytes - #entry[2][2]
  redis.call('XDEL', log, entry[1])
end
local messages = redis.call('XLEN', log)
if messages == 0 then bytes = 0 end
if redis.call('EXISTS', meta) == 1 then redis.call('HSET', meta, 'bytes', text(bytes)) end
return {tonumber(redis.call('HGET', meta, 'head') or 0), messages, bytes}
