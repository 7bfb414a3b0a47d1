-- Lets permits go on for another lease, those too that the server has forgotten.
--
-- For each key: the lease, the node, and the number of the permit.

for index, key in ipairs(KEYS) do
  local first = index * 3 - 2
  grant(key, tonumber(ARGV[first]), name(ARGV[first + 1], ARGV[first + 2]))
end
return 1
