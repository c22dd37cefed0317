--[[
bus/look: groups of readers, what they are promised, and how they get on.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  group     one group; "" for all
ARGV[2]  cursor    "0" to begin, then what the last call gave
ARGV[3]  limit     about how many, 1 to 500

Returns  {cursor, {{group, settings, places, held, {figure, value, ...}, {reader, seen_ms, ...}}, ...}}
         settings  as lib/group says
         places    where it has something to read
         held      messages that its readers hold, or that were given back and wait
]]
local function look(group, settings)
  local readers = {}
  for _, reader in ipairs(redis.call('HKEYS', KEYS[1] .. 'bus:consumers:' .. group)) do
    readers[#readers + 1] = reader
    readers[#readers + 1] = redis.call('ZSCORE', KEYS[1] .. 'bus:readers', reader) or '0'
  end
  return { group, settings, redis.call('ZCARD', KEYS[1] .. 'bus:heads:' .. group),
    redis.call('ZCARD', KEYS[1] .. 'bus:held:' .. group), redis.call('HGETALL', KEYS[1] .. 'bus:g:' .. group), readers }
end

local views = {}
if ARGV[1] ~= '' then
  local settings = redis.call('HGET', KEYS[1] .. 'bus:groups', ARGV[1])
  if settings then views[1] = look(ARGV[1], settings) end
  return { '0', views }
end
local page = redis.call('HSCAN', KEYS[1] .. 'bus:groups', ARGV[2], 'COUNT', ARGV[3])
for i = 1, #page[2], 2 do views[#views + 1] = look(page[2][i], page[2][i + 1]) end
return { page[1], views }
