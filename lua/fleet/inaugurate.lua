--[[
fleet/inaugurate: a new leader makes its epoch known to a shard, before it acts.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     that it was elected with

Returns  1; an error DEPOSED when the shard has seen a newer one

From here on the shard refuses whatever an earlier leader still sends.
]]
--- @include lib/epoch
-- not deny-oom, so first: a new leader must be known when Redis is full
redis.call('PERSIST', KEYS[1] .. 'lease')
local refused = deposed(ARGV[1])
if refused then return refused end
return 1
