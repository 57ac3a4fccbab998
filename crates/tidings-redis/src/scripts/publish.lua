-- Stores a message and announces it: one atomic step.
-- KEYS: 1 log, 2 meta, 3 idempotency key (left out without one)
-- ARGV: 1 now (us), 2 newest id the caller saw in the room, 3 where an unknown room begins,
--       4 messages kept, 5 bytes kept, 6 age kept (us), 7 ms until the room is forgotten,
--       8 channel, 9 user, 10 conflation key, 11 kind (t, d or b), 12 payload, 13 window of idempotency (us)
-- Gives {id, 1 if an earlier call with the same idempotency key stored it, 1 if the room is to be listed}.
local log, meta, idempotency = KEYS[1], KEYS[2], KEYS[3]
local now = tonumber(ARGV[1])
local channel, user, key, kind, payload = ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12]

if idempotency then
  local known = redis.call('GET', idempotency)
  if known then
    local id, at = known:match('^(%d+) (%d+)$')
    if now - tonumber(at) < tonumber(ARGV[13]) then return {tonumber(id), 1, 0} end
  end
end

local known = redis.call('HMGET', meta, 'head', 'bytes', 'oldest')
local prev = head_of(known[1], meta, channel, tonumber(ARGV[2]), tonumber(ARGV[3]))
local id = math.max(prev + 1, now)
local stored_at = math.floor(now / 1000)
local messages_max, bytes_max, age = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local forgotten_after = tonumber(ARGV[7])
local list = 0

if messages_max > 0 and age > 0 then
  local entry = {'XADD', log, text(id) .. '-0', kind, payload, 'p', text(prev), 'at', text(stored_at)}
  if user ~= '' then entry[#entry + 1] = 'u'; entry[#entry + 1] = user end
  if key ~= '' then entry[#entry + 1] = 'k'; entry[#entry + 1] = key end
  redis.call(unpack(entry))
  -- `oldest` is the oldest message's id, or a smaller one that was trimmed: reading the message to
  -- know better is left until it may have expired. Usually at most one message has to go.
  local bytes = tonumber(known[2] or 0) + #payload
  local oldest, horizon = tonumber(known[3] or 0), now - age
  local count = redis.call('XLEN', log)
  while count > 1 and (count > messages_max or bytes > bytes_max or oldest <= horizon) do
    local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
    oldest = tonumber(first[1]:match('^%d+'))
    if count <= messages_max and bytes <= bytes_max and oldest > horizon then break end
    bytes = bytes - #first[2][2]
    redis.call('XDEL', log, first[1])
    count = count - 1
  end
  if count == 1 then bytes, oldest = #payload, id end
  -- The list of rooms lies elsewhere, and who should have entered the room may have died: now and then it is
  -- entered again.
  if count == 1 or id % 64 == 0 then list = 1 end
  redis.call('HSET', meta, 'head', text(id), 'bytes', text(bytes), 'oldest', text(oldest))
  redis.call('PEXPIRE', log, text(math.ceil(age / 1000)))
  forgotten_after = forgotten_after + math.ceil(age / 1000)
else
  redis.call('HSET', meta, 'head', text(id))
end
redis.call('PEXPIRE', meta, text(forgotten_after))
if idempotency then
  redis.call('SET', idempotency, text(id) .. ' ' .. text(now), 'PX', text(math.ceil(tonumber(ARGV[13]) / 1000) + 1000))
end
redis.call('SPUBLISH', channel, 'm ' .. text(id) .. ' ' .. text(prev) .. ' ' .. text(stored_at) .. ' ' .. kind
  .. ' ' .. #user .. ' ' .. #key .. '\n' .. user .. key .. payload)
return {id, 0, list}
