--[[
session/ls: sessions of the shard, those that moved last first, a page a call.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  name      only open ones that somebody takes part in; "" for all
ARGV[2]  offset
ARGV[3]  limit     1 to 500

Returns  {{id, moved_ms, {field, value, ...}, people}, ...}: people: how many take part
]]
local offset = tonumber(ARGV[2])
local key = ARGV[1] == '' and 'bus:sessions' or 'bus:sessions:of:' .. ARGV[1]
local page, found = redis.call('ZREVRANGE', KEYS[1] .. key, offset, offset + ARGV[3] - 1), {}
for i, id in ipairs(page) do
  local people = 0
  for _, text in ipairs(redis.call('HVALS', KEYS[1] .. 'bus:who:' .. id)) do
    if string.sub(text, 1, 1) == 'j' then people = people + 1 end
  end
  found[i] = { id, redis.call('ZSCORE', KEYS[1] .. 'bus:sessions', id) or '0',
    redis.call('HGETALL', KEYS[1] .. 'bus:session:' .. id), people }
end
return found
