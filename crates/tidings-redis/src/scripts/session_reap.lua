-- A node is dead: its sessions wait for their clients, and no longer. They stay the node's until somebody claims
-- them: it may have come back just now.
-- KEYS: 1 the node's sessions of a group
-- ARGV: 1 the node, 2 window (ms), 3 what the sessions' names begin with, 4 at most so many
-- Gives how many there were.
local sessions = redis.call('SPOP', KEYS[1], ARGV[4])
for _, session in ipairs(sessions) do
  local key = ARGV[3] .. session
  if redis.call('HGET', key, 'owner') == ARGV[1] then
    redis.call('PEXPIRE', key, ARGV[2])
  end
end
return #sessions
