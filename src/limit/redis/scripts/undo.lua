-- Gives back what was taken, as far as time has not given it back.
--
-- For each key: algorithm, limit, window, cost, and when it was taken.

for index, key in ipairs(KEYS) do
  local first = index * 5 - 4
  local algorithm, limit = tonumber(ARGV[first]), tonumber(ARGV[first + 1])
  local count = read(key, algorithm, limit, tonumber(ARGV[first + 2]))
  local cost, taken = tonumber(ARGV[first + 3]), tonumber(ARGV[first + 4])
  settle(count, now)
  if count.elapsed then
    local start = count.last - count.elapsed
    if taken >= start then
      count.used = math.max(0, count.used - cost)
    elseif taken >= start - count.window then
      count.past = math.max(0, count.past - cost)
    end
  else
    local passed = math.min(math.max(count.last - taken, 0), count.window)
    local leaked, rest = muldiv(count.limit, passed, count.window)
    if leaked < cost then
      count.used, count.past = count.used - (cost - leaked), count.past + rest
      if count.past >= count.window then
        count.used, count.past = count.used + 1, count.past - count.window
      end
      if count.used < 0 then count.used, count.past = 0, 0 end
    end
  end
  keep(count, now)
end
return 1
