--[[
bus/channels: channels that hold messages, or lately did, those used last first.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  name      one channel; "" for all
ARGV[2]  offset    where to begin
ARGV[3]  limit     how many, 1 to 500

Returns  {{name, used_ms, critical, normal, low, bytes, max_entries, max_bytes, in, out, {group, + or -, ...}}, ...}
         one that is named is there as well when it is bounded by this name; used_ms is 0 then

Bounds are those that the next message meets, though the channel has not followed a change yet.
]]
--- @include lib/clock
--- @include lib/topic
--- @include lib/channel
--- @include lib/bind
local version = redis.call('GET', KEYS[1] .. 'bus:version') or '0'

local function look(name, used)
  local channel, counts = channel_of(name), {}
  if channel.v ~= version and string.sub(name, 1, 1) ~= '~' then channel.max, channel.bytes = bounds_of(name) end
  for lane in string.gmatch('cnl', '.') do
    counts[#counts + 1] = redis.call('XLEN', KEYS[1] .. 'bus:s:' .. lane .. name)
  end
  return { name, used, counts[1], counts[2], counts[3], channel.b, channel.max, channel.bytes, channel.came, channel.went,
    redis.call('HGETALL', KEYS[1] .. 'bus:on:' .. name) }
end

local views, key = {}, KEYS[1] .. 'bus:channels'
if ARGV[1] ~= '' then
  local used = redis.call('ZSCORE', key, ARGV[1]) or redis.call('HEXISTS', KEYS[1] .. 'bus:bounds', ARGV[1]) == 1 and '0'
  return used and { look(ARGV[1], used) } or {}
end
local page = redis.call('ZREVRANGE', key, ARGV[2], ARGV[2] + ARGV[3] - 1, 'WITHSCORES')
for i = 1, #page, 2 do views[#views + 1] = look(page[i], page[i + 1]) end
return views
