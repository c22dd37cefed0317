--[[
flow/forget: a flow that has ended, or was never launched, goes with all its tasks, a page a call.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  flow      its id
ARGV[2]  limit     how many tasks to delete, 1 to 1000

Returns  {"more"}   the call should be repeated
         {"done"}   nothing of it is left; also when there was nothing
         {"state", state}  it runs: nothing was changed
]]
local flow, limit = ARGV[1], tonumber(ARGV[2])
local key = KEYS[1] .. 'flow:' .. flow
local state = redis.call('HGET', key, 'state')
if not state then return { 'done' } end
if state == 'running' or state == 'retrying' then return { 'state', state } end
-- whoever would launch it now finds that it is gone
if state == 'building' then redis.call('HSET', key, 'state', 'swept') end
local ids = redis.call('LRANGE', key .. ':ids', -limit, -1)
for _, id in ipairs(ids) do
  redis.call('ZREM', KEYS[1] .. 'dead', id)
  redis.call('ZREM', KEYS[1] .. 'due', 'y' .. id)
  redis.call('UNLINK', KEYS[1] .. 't:' .. id, KEYS[1] .. 'p:' .. id, KEYS[1] .. 'log:' .. id, KEYS[1] .. 'progress:' .. id,
    KEYS[1] .. 'kids:' .. id, KEYS[1] .. 'need:' .. id, KEYS[1] .. 'saved:' .. id)
end
if #ids == limit then
  redis.call('LTRIM', key .. ':ids', 0, -limit - 1)
  return { 'more' }
end
redis.call('UNLINK', key, key .. ':ids', key .. ':graph', KEYS[1] .. 'kids:' .. flow)
redis.call('ZREM', KEYS[1] .. 'flows', flow)
redis.call('ZREM', KEYS[1] .. 'flows:open', flow)
redis.call('ZREM', KEYS[1] .. 'flows:ended', flow)
return { 'done' }
