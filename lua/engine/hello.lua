--[[
engine/hello: agree on how a namespace is laid out; the first to come decides.

KEYS[1]  root      prefix of every key of shard 0

ARGV[1]  schema    version of the key space that the caller writes
ARGV[2]  shards    how many shards the caller wants, 0 for "whatever there is" (1 when new)

Returns  {schema, shards}  as they are, whoever decided
]]
local key = KEYS[1] .. 'meta'
local known = redis.call('HMGET', key, 'schema', 'shards')
-- a full Redis takes no writes, yet must let old friends in
if known[1] and known[2] then return known end
local shards = tonumber(ARGV[2])
redis.call('HSETNX', key, 'schema', ARGV[1])
redis.call('HSETNX', key, 'shards', shards > 0 and shards or 1)
return redis.call('HMGET', key, 'schema', 'shards')
