--[[
bus/subscribe: a group of readers is made, or changed; each shard has all groups.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  group     its name; @<agent> is the group of an agent's mailbox
ARGV[2]  settings  as lib/group says
ARGV[3]  tells     1 when it asks for what happened, too
ARGV[4]  only_new  1: a group that exists stays as it is

Returns  1 when it is now as asked, 0 when another stays as it is

It is given what is published from now on. What it does not ask for any more is let go by bus/sweep.
]]
local group, settings = ARGV[1], ARGV[2]
local before = redis.call('HGET', KEYS[1] .. 'bus:groups', group)
if before == settings then return 1 end
if before and ARGV[4] == '1' then return 0 end
redis.call('HSET', KEYS[1] .. 'bus:groups', group, settings)
redis.call('HDEL', KEYS[1] .. 'bus:leaving', group)
local patterns = string.match(settings, '^%d+ %d+ %d %d %d+ %d ?(.*)$') or ''
local known = redis.call('HGET', KEYS[1] .. 'bus:patterns', group)
if patterns == '' then
  redis.call('HDEL', KEYS[1] .. 'bus:patterns', group)
else
  redis.call('HSET', KEYS[1] .. 'bus:patterns', group, patterns)
end
if ARGV[3] == '1' then
  redis.pcall('XGROUP', 'CREATE', KEYS[1] .. 'events', group, '$', 'MKSTREAM')
elseif before then
  redis.pcall('XGROUP', 'DESTROY', KEYS[1] .. 'events', group)
end
if not before or (known or '') ~= patterns then redis.call('INCR', KEYS[1] .. 'bus:version') end
local seen = redis.call('TIME')
redis.call('HSET', KEYS[1] .. 'bus:g:' .. group, 'seen', string.format('%.0f', seen[1] * 1000 + math.floor(seen[2] / 1000)))
return 1
