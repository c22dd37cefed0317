--[[
work/unschedule: a schedule is no more; the tasks it has enqueued stay.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  name      the schedule; also one that holds a stranger's data

Returns  1 when it was there, else 0
]]
-- not deny-oom, so first: a full Redis must be able to shrink
redis.call('PERSIST', KEYS[1] .. 'lease')
local known = redis.call('ZREM', KEYS[1] .. 'schedules', ARGV[1])
return math.max(known, redis.call('UNLINK', KEYS[1] .. 'schedule:' .. ARGV[1]))
