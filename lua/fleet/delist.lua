--[[
fleet/delist: a fleet spawner has ended; its name is free.

KEYS[1]  root      prefix of every key of shard 0

ARGV[1]  name      of the fleet
ARGV[2]  instance  of the spawner, as it was enlisted

Returns  1 when the name was the caller's, else 0
]]
local key = KEYS[1] .. 'spawner:' .. ARGV[1]
local held = redis.call('GET', key)
if not held or not string.find(held, '"' .. ARGV[2] .. '"', 1, true) then return 0 end
redis.call('DEL', key, KEYS[1] .. 'inbox:fleet.' .. ARGV[1])
return redis.call('ZREM', KEYS[1] .. 'spawners', ARGV[1])
