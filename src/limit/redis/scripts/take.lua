-- Takes from all counts or from none.
--
-- For each key: algorithm, limit, window, cost. Answers 1 or 0, the time, and for each key when it
-- was settled or its window began, what is used, and what is past.

local counts, admitted = {}, 1
for index, key in ipairs(KEYS) do
  local first = index * 4 - 3
  local algorithm, limit = tonumber(ARGV[first]), tonumber(ARGV[first + 1])
  local count = read(key, algorithm, limit, tonumber(ARGV[first + 2]))
  count.cost = tonumber(ARGV[first + 3])
  settle(count, now)
  if count.cost > room(count) then admitted = 0 end
  counts[index] = count
end

local answer = { admitted, now }
for _, count in ipairs(counts) do
  local taken = admitted * count.cost
  count.used = count.used + taken
  if taken > 0 or count.moved then keep(count, now) end
  table.insert(answer, count.last)
  table.insert(answer, count.used)
  table.insert(answer, count.past)
end
return answer
