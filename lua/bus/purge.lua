--[[
bus/purge: dead letters are deleted.

KEYS[1]  root      prefix of every key of the shard

ARGV[1...]         ids, up to 500

Returns  how many were
]]
-- not deny-oom, so first: it makes room
redis.call('PERSIST', KEYS[1] .. 'bus:readers')
return redis.call('XDEL', KEYS[1] .. 'bus:dead', unpack(ARGV))
