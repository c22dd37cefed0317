--[[
work/configure: change a queue's settings, and act on the change at once.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  queue     its name
ARGV[2...]         field, value pairs: paused 0|1, strict 0|1, high tasks, low tasks, max_bytes bytes;
                   a number, 0 = off

Returns  {field, value, ...}  the queue as it is now
]]
--- @include lib/clock
--- @include lib/queue
--- @include lib/line
local name = ARGV[1]
local key = KEYS[1] .. 'queue:' .. name
local known = redis.call('SADD', KEYS[1] .. 'queues', name) == 0
if #ARGV > 1 then redis.call('HSET', key, unpack(ARGV, 2)) end
if not known then redis.call('HSETNX', key, 'enqueued', 0) end
local queue = queue_of(name)
for _, line in ipairs(redis.call('ZRANGE', KEYS[1] .. 'heads:' .. name, 0, -1)) do
  local head = redis.call('LINDEX', KEYS[1] .. 'line:' .. name .. ':' .. line, 0)
  if head then
    redis.call('ZADD', KEYS[1] .. 'heads:' .. name, rank(head, line, queue.strict), line)
    if queue.paused == 0 then mark(name, line, 8) end
  else
    redis.call('ZREM', KEYS[1] .. 'heads:' .. name, line)
  end
end
if queue.wanted > 0 then queue.changed.wanted = true end
write_queues()
return redis.call('HGETALL', key)
