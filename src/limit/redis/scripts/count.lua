-- What all scripts share: the arithmetic of src/limit/algorithm.rs.
--
-- Lua counts in doubles, which are exact up to 2^53. A limit is below 2^40, a window below 2^45
-- microseconds, a time below 2^51 until the year 2041 and below 2^53 until 2255.

local FIXED, SLIDING = 0, 1
local PATIENCE = 1000000

-- The whole part and the rest of a * b / c, for a < 2^42 and b <= c < 2^45.
local function muldiv(a, b, c)
  local product = a * b
  if product < 9007199254740992 then
    local rest = math.fmod(product, c)
    return (product - rest) / c, rest
  end
  local quotient, rest = 0, 0
  for shift = 35, 0, -7 do
    local digit = math.floor(a / 2 ^ shift) % 128
    local sum = rest * 128 + digit * b
    rest = math.fmod(sum, c)
    quotient = quotient * 128 + (sum - rest) / c
  end
  return quotient, rest
end

-- A key that somebody else has written to is an error, never an empty count.
local function read(key, algorithm, limit, window)
  local count = { key = key, algorithm = algorithm, limit = limit, window = window }
  local text = redis.call('GET', key)
  if not text then
    count.last, count.used, count.past = 0, 0, 0
    return count
  end
  local last, used, past = string.match(text, '^(%d+) (%d+) (%d+)$')
  if not last then error('not a count: ' .. key) end
  count.last, count.used, count.past = tonumber(last), tonumber(used), tonumber(past)
  return count
end

local function leak(count, passed)
  if count.used >= count.limit then count.used, count.past = count.limit, 0 end
  if passed >= count.window then
    count.used, count.past = 0, 0
    return
  end
  local used, past = muldiv(count.limit, passed, count.window)
  count.used, count.past = count.used - used, count.past - past
  if count.past < 0 then count.used, count.past = count.used - 1, count.past + count.window end
  if count.used < 0 then count.used, count.past = 0, 0 end
end

local function turn(count, at)
  count.elapsed = math.fmod(at, count.window)
  count.start = at - count.elapsed
  if count.last < count.start then
    local before = count.last >= count.start - count.window and count.used or 0
    count.used, count.past = 0, before
  end
  if count.algorithm == FIXED then
    -- Nodes that count by themselves may have gone beyond the limit. That is remembered, or what they
    -- give back would be granted twice.
    count.past = 0
  else
    count.used = math.min(count.used, count.limit)
    count.past = math.min(count.past, count.limit)
  end
end

-- Brings the count to the present. A count of the future is waited for up to a window. A fixed one
-- keeps when its window began, the others when they were settled.
local function settle(count, now)
  if count.last - now > math.max(count.window, PATIENCE) then
    count.last, count.moved = now, true
  end
  local at = math.max(now, count.last)
  if count.algorithm == FIXED or count.algorithm == SLIDING then
    turn(count, at)
  else
    leak(count, at - count.last)
  end
  count.at = at
  count.last = count.algorithm == FIXED and count.start or at
end

local function room(count)
  if count.algorithm == FIXED then return math.max(0, count.limit - count.used) end
  if count.algorithm == SLIDING then
    local past = muldiv(count.past, count.window - count.elapsed, count.window)
    return math.max(0, count.limit - count.used - past)
  end
  return count.limit - count.used - (count.past > 0 and 1 or 0)
end

-- Every key ends when it says no more than one that is not there, and a second later: so long a
-- clock may be put back and no window is counted twice.
local function keep(count, now)
  if count.used == 0 and count.past == 0 then
    redis.call('DEL', count.key)
    return
  end
  local rest = count.last - now + count.window + PATIENCE
  if count.algorithm == SLIDING then rest = rest - count.elapsed + count.window end
  local text = string.format('%.0f %.0f %.0f', count.last, count.used, count.past)
  redis.call('SET', count.key, text, 'PX', string.format('%.0f', math.ceil(rest / 1000)))
end
