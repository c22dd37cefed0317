--[[
fleet/reports: what parts of the leader said last; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

ARGV[1...]         parts

Returns  {facts, ...}  one JSON text for each part, false where there is none
]]
local keys = {}
for i, part in ipairs(ARGV) do keys[i] = KEYS[1] .. 'report:' .. part end
return redis.call('MGET', unpack(keys))
