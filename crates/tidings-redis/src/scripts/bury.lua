-- Takes users of a dead node out of a room, and tells who has gone.
-- KEYS: 1 users, 2 nodes in the room
-- ARGV: 1 the node, 2 channel (empty: nothing is told), 3 at most so many users
-- Gives {how many there were, 1 if there are more}.
local count = bury(KEYS[1], KEYS[2], ARGV[2], ARGV[1], ARGV[3])
return {count, redis.call('EXISTS', KEYS[1] .. ':' .. ARGV[1])}
