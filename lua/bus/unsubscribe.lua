--[[
bus/unsubscribe: a group of readers ends; what waits for it is let go by bus/sweep.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  group     its name

Returns  1 when there was one of that name, else 0
]]
-- not deny-oom, so first: a group that goes makes room
redis.call('PERSIST', KEYS[1] .. 'bus:readers')
--- @include lib/leaving
return end_group(ARGV[1], 'unsubscribed')
