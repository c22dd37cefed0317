--[[
work/saved: what tasks kept from their earlier runs.

KEYS[1]  root      prefix of every key of the shard

ARGV[1...]         ids, at most 500

Returns  {{field, text, ...}, ...}  per id the hash of lib/saved; {} when it kept nothing
]]
local all = {}
for i = 1, #ARGV do all[i] = redis.call('HGETALL', KEYS[1] .. 'saved:' .. ARGV[i]) end
return all
