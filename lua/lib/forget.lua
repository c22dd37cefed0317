--[[
lib/forget: a flow that is over goes with all its tasks, a page a call.
]]
-- limit: how many tasks to delete. Returns "more", "done" (also when there is no such flow), or the state
-- that does not allow it; and how many tasks were deleted.
local function forget_flow(flow, limit)
  local key = KEYS[1] .. 'flow:' .. flow
  local state = redis.call('HGET', key, 'state')
  if state == 'running' or state == 'retrying' then return state, 0 end
  local ids = redis.call('LRANGE', key .. ':ids', -limit, -1)
  for _, id in ipairs(ids) do
    redis.call('ZREM', KEYS[1] .. 'dead', id)
    redis.call('ZREM', KEYS[1] .. 'due', 'y' .. id)
    redis.call('UNLINK', KEYS[1] .. 't:' .. id, KEYS[1] .. 'p:' .. id, KEYS[1] .. 'log:' .. id, KEYS[1] .. 'progress:' .. id,
      KEYS[1] .. 'kids:' .. id, KEYS[1] .. 'need:' .. id, KEYS[1] .. 'saved:' .. id)
  end
  if state and #ids == limit then
    -- whoever would launch or retry it now finds that it is gone
    redis.call('HSET', key, 'state', 'swept')
    redis.call('LTRIM', key .. ':ids', 0, -limit - 1)
    return 'more', #ids
  end
  redis.call('UNLINK', key, key .. ':ids', key .. ':graph', KEYS[1] .. 'kids:' .. flow)
  redis.call('ZREM', KEYS[1] .. 'flows', flow)
  redis.call('ZREM', KEYS[1] .. 'flows:open', flow)
  redis.call('ZREM', KEYS[1] .. 'flows:ended', flow)
  return 'done', #ids
end
