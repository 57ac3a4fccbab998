-- A node is dead: its sessions wait for their clients.
-- KEYS: 1 sessions of that node, 2 its lease
-- ARGV: 1 that node, 2 window (ms), 3 what the sessions' names begin with, 4 at most so many
-- Gives how many there were.
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
local sessions = redis.call('SPOP', KEYS[1], ARGV[4])
for _, session in ipairs(sessions) do
  local key = ARGV[3] .. session
  if redis.call('HGET', key, 'owner') == ARGV[1] then
    redis.call('HSET', key, 'owner', '')
    redis.call('PEXPIRE', key, ARGV[2])
  end
end
return #sessions
