-- What the scripts on presence share. The users of a room are a sorted set, `here`, whose scores are all 0,
-- so that it is in the order of their names. What each node has of them is a hash beside it,
-- `here:<node>`, from user to connections (0 within the grace). `nodes` are the nodes that have any, and
-- `reaped` those whose users were told to have left because the node was dead.
local function reaped_of(nodes)
  return nodes:sub(1, -6) .. 'reaped'
end

-- Whether a node other than this one has the user.
local function is_elsewhere(here, nodes, node, user)
  for _, other in ipairs(nodes) do
    if other ~= node and redis.call('HEXISTS', here .. ':' .. other, user) == 1 then return true end
  end
  return false
end

-- Tells who listens to the room who came and went; an empty channel is a room that has no events.
local function tell(channel, here, joined, left)
  if channel == '' or #joined + #left == 0 then return end
  local head = {'e p', text(redis.call('ZCARD', here)), text(#joined), text(#left)}
  local names = {}
  for _, users in ipairs({joined, left}) do
    for _, user in ipairs(users) do
      head[#head + 1] = text(#user)
      names[#names + 1] = user
    end
  end
  redis.call('SPUBLISH', channel, table.concat(head, ' ') .. '\n' .. table.concat(names))
end

-- The node is dead: takes at most `most` of its users out of a room, and tells who has gone.
-- Gives how many there were.
local function bury(here, nodes, channel, node, most)
  local users = redis.call('HRANDFIELD', here .. ':' .. node, most)
  local left = {}
  if #users > 0 then
    redis.call('HDEL', here .. ':' .. node, unpack(users))
    local known = redis.call('SMEMBERS', nodes)
    for _, user in ipairs(users) do
      if not is_elsewhere(here, known, node, user) then
        redis.call('ZREM', here, user)
        left[#left + 1] = user
      end
    end
    -- Should the node come back, the others have to be told of its users anew.
    redis.call('SADD', reaped_of(nodes), node)
    redis.call('EXPIRE', reaped_of(nodes), 3600)
  end
  tell(channel, here, {}, left)
  if redis.call('EXISTS', here .. ':' .. node) == 0 then redis.call('SREM', nodes, node) end
  return #users
end
