-- What the scripts for permits share. A permit is a member of its caller's sorted set, with the time at
-- which it ends unless it is renewed.

local function name(node, number)
  return node .. ':' .. number
end

local function grant(key, lease, permit)
  redis.call('ZADD', key, string.format('%.0f', now + lease), permit)
  local millis = math.ceil(lease / 1000)
  if redis.call('PTTL', key) < millis then
    redis.call('PEXPIRE', key, string.format('%.0f', millis))
  end
end
