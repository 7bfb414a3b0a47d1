-- Settles what was taken: gives back what was not spent, as far as time has not given it back, or takes
-- what was spent besides, as far as the limit goes.
--
-- For each key: algorithm, limit, window, what is given back, when that was taken, and what is taken.

local function refund(count, cost, taken)
  if taken > count.at then return end
  if count.start then
    if taken >= count.start then
      count.used = math.max(0, count.used - cost)
    elseif taken >= count.start - count.window then
      count.past = math.max(0, count.past - cost)
    end
    return
  end
  local passed = math.min(count.at - taken, count.window)
  local leaked, rest = muldiv(count.limit, passed, count.window)
  if leaked >= cost then return end
  count.used, count.past = count.used - (cost - leaked), count.past + rest
  if count.past >= count.window then
    count.used, count.past = count.used + 1, count.past - count.window
  end
  if count.used < 0 then count.used, count.past = 0, 0 end
end

for index, key in ipairs(KEYS) do
  local a = {}
  for place = 1, 6 do a[place] = tonumber(ARGV[index * 6 - 6 + place]) end
  local algorithm, limit, window, back, taken, more = unpack(a)
  local count = read(key, algorithm, limit, window)
  settle(count, now)
  if back > 0 then refund(count, back, taken) end
  count.used = count.used + math.min(more, room(count))
  keep(count, now)
end
return 1
