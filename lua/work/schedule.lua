--[[
work/schedule: set down what shall be enqueued again and again, if all is still as it was seen.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  name      the schedule
ARGV[2]  seen      the version of what is replaced; 0: there is none
ARGV[3]  what      its definition: JSON, see coordq/work/schedule.py
ARGV[4]  anchor    what intervals count from: milliseconds since 1970
ARGV[5]  next      the first slot, milliseconds since 1970, or inf: none, because it is paused or over
ARGV[6]  paused    1 or 0

Returns  {"ok", version}       also when an earlier call did it
         {"changed", version}  somebody else was faster; 0: it is gone. Nothing was changed

Two keys hold it. ZSET schedules: name, scored by the next slot. HASH schedule:<name>: version, what,
anchor, paused, added; fired, skipped, missed (how often); last (slot), note (why a slot was left out
last), runs (the last ones, a line each, see lib/settle). A new definition keeps the history.
]]
--- @include lib/clock
local name, seen = ARGV[1], tonumber(ARGV[2])
local key = KEYS[1] .. 'schedule:' .. name
local facts = redis.call('HMGET', key, 'version', 'what', 'anchor', 'paused')
local version = tonumber(facts[1] or 0) or 0
if version ~= seen then
  local same = facts[2] == ARGV[3] and facts[3] == ARGV[4] and facts[4] == ARGV[6]
  return { same and 'ok' or 'changed', version }
end
-- never given out twice, also not to a schedule of the same name that comes after this one
version = math.max(seen + 1, now_us)
redis.call('ZADD', KEYS[1] .. 'schedules', ARGV[5], name)
redis.call('HSET', key, 'version', string.format('%.0f', version), 'what', ARGV[3], 'anchor', ARGV[4],
  'paused', ARGV[6])
redis.call('HSETNX', key, 'added', now)
return { 'ok', version }
