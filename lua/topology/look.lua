--[[
topology/look: the topology that is set, unless the caller knows it already; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  known     the version that the caller has; "" for none

Returns  {version} when that is what the caller has, else
         {version, at_ms, who, why, text}; version 0 and empty words when none was ever set
]]
local key = KEYS[1] .. 'topology'
local version = tonumber(redis.call('HGET', key, 'v') or '0') or 0
if ARGV[1] ~= '' and tonumber(ARGV[1]) == version then return { version } end
local some = redis.call('HMGET', key, 'at', 'who', 'why', 'text')
return { version, some[1] or '0', some[2] or '', some[3] or '', some[4] or '' }
