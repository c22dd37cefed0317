--[[
bus/bounds: what was said about how much channels may hold.

KEYS[1]  root      prefix of every key of the shard

Returns  flat: channel or pattern, "<entries> <bytes>", ...
]]
return redis.call('HGETALL', KEYS[1] .. 'bus:bounds')
