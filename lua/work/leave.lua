--[[
work/leave: a worker has ended in good order and should no longer be counted.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  worker    its name

Returns  1 when it was known, else 0
]]
redis.call('DEL', KEYS[1] .. 'worker:' .. ARGV[1], KEYS[1] .. 'inbox:' .. ARGV[1])
return redis.call('ZREM', KEYS[1] .. 'workers', ARGV[1])
