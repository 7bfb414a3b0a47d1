-- Settles what a node has counted by itself, and lends it the next slice; fixed windows only.
--
-- For each key: limit, window, what was spent and not yet told, what is given back and of which
-- window that is, what is needed, what is wanted, and the smallest slice. Answers the time, and for
-- each key the window's number, the time left in it, what is used of it now, and what of that is
-- lent.

-- A slice is at most half of what is left, so that slices shrink as the quota empties.
local SHARE = 2

local answer = { now }
for index, key in ipairs(KEYS) do
  local a = {}
  for place = 1, 8 do a[place] = tonumber(ARGV[index * 8 - 8 + place]) end
  local limit, window, spent, back, of, need, want, least = unpack(a)
  local count = read(key, FIXED, limit, window)
  settle(count, now)
  local number = count.start / window
  local before = count.used
  if of == number then count.used = math.max(0, count.used - back) end
  count.used = count.used + spent

  local left = room(count)
  local share = math.max(math.floor(left / SHARE), least)
  local lent = math.min(left, math.max(need, math.min(want, share)))
  count.used = count.used + lent
  if count.used ~= before or count.moved then keep(count, now) end

  table.insert(answer, number)
  table.insert(answer, window - count.elapsed)
  table.insert(answer, count.used)
  table.insert(answer, lent)
end
return answer
