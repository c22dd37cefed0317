--[[
fleet/enlisted: the fleets whose spawners run.

KEYS[1]  root      prefix of every key of shard 0

Returns  {info, ...} as they were enlisted, in the order of their names
]]
local found = {}
local names = redis.call('ZRANGE', KEYS[1] .. 'spawners', 0, -1)
table.sort(names)
for _, name in ipairs(names) do
  found[#found + 1] = redis.call('GET', KEYS[1] .. 'spawner:' .. name) or nil
end
return found
