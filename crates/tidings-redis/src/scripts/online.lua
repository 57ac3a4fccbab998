-- Which users are online by a living node. Forgets what dead nodes said.
-- KEYS: for each user the nodes by which they are online
-- ARGV: 1 what the leases' names begin with
-- Gives 1 or 0 for each.
local answer, lives = {}, {}
for i, key in ipairs(KEYS) do
  answer[i] = 0
  for _, node in ipairs(redis.call('HKEYS', key)) do
    if lives[node] == nil then lives[node] = counts(ARGV[1] .. node) end
    if lives[node] then
      answer[i] = 1
    else
      redis.call('HDEL', key, node)
    end
  end
end
return answer
