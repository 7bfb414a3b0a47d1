-- Lets a request run by all keys or by none.
--
-- For each key: how many may run, the lease, the node, the number of the new permit, how many of the
-- node's permits have ended, and their numbers: so what has ended is known before it is counted.
-- Answers 1 or 0, and for each key how many run.

local place = 0
local function argument()
  place = place + 1
  return ARGV[place]
end

local asked, answer = {}, { 1 }
for index, key in ipairs(KEYS) do
  local limit, lease = tonumber(argument()), tonumber(argument())
  local node, number = argument(), argument()
  for _ = 1, tonumber(argument()) do
    redis.call('ZREM', key, name(node, argument()))
  end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
  local running = redis.call('ZCARD', key)
  if running >= limit then answer[1] = 0 end
  asked[index] = { key, lease, name(node, number) }
  table.insert(answer, running)
end
if answer[1] == 1 then
  for index, permit in ipairs(asked) do
    grant(unpack(permit))
    answer[index + 1] = answer[index + 1] + 1
  end
end
return answer
