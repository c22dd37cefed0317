--[[
work/configure: change a queue's settings, and act on the change at once.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  queue     its name
ARGV[2]  paused    1 or 0, "" leaves it as it is; so do the others
ARGV[3]  strict    1 or 0: whether priorities are strict, or age
ARGV[4]  high      tasks, 0 = no mark
ARGV[5]  low       tasks
ARGV[6]  max_bytes bytes, 0 = no limit
ARGV[7]  fair      1 or 0: whether tenants take turns, or their tasks start by age

Returns  {field, value, ...}  the queue as it is now
]]
--- @include lib/clock
--- @include lib/queue
--- @include lib/line
--- @include lib/heads
local name = ARGV[1]
local key = KEYS[1] .. 'queue:' .. name
local old = settings_of(name)
local values = { old.paused and 1 or 0, old.strict and 1 or 0, old.high, old.low, old.max_bytes }
for i = 1, 5 do
  if ARGV[i + 1] ~= '' then values[i] = ARGV[i + 1] end
  values[i] = string.format('%.0f', values[i])
end
-- not deny-oom, so first: an operator must be able to act when Redis is full
redis.call('PERSIST', key)
local unfair = ARGV[7] == '' and old.unfair or ARGV[7] == '0'
redis.call('HSET', key, 'settings', table.concat(values, ' ') .. (unfair and ' 1' or ''))
redis.call('SADD', KEYS[1] .. 'queues', name)
queue_settings = {}
local settings = settings_of(name)
for _, line in ipairs(redis.call('ZRANGE', KEYS[1] .. 'heads:' .. name, 0, -1)) do
  if unfair ~= (old.unfair or false) and string.sub(line, -1) == '~' then the_fair().begin_anew(name, line) end
  if rank_again(name, line) and not settings.paused then mark(name, line, 8) end
end
offer_space(name, settings)
return redis.call('HGETALL', key)
