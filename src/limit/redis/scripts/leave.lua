-- Ends permits.
--
-- For each key: the node, and the number of the permit.

for index, key in ipairs(KEYS) do
  redis.call('ZREM', key, name(ARGV[index * 2 - 1], ARGV[index * 2]))
end
return 1
