--[[
lib/mend_flow: a flow's account agrees with its tasks, and it stands in the books that its state asks for.
]]
local FLOW_COUNTED_MAX = 20000

-- How many of its tasks have not ended, or have by now but were told of it before: see flag z.
local function open_members(key)
  local open = 0
  for first = 0, redis.call('LLEN', key .. ':ids') - 1, 1000 do
    local keys = redis.call('LRANGE', key .. ':ids', first, first + 999)
    for i, id in ipairs(keys) do keys[i] = KEYS[1] .. 't:' .. id end
    for _, text in ipairs(redis.call('MGET', unpack(keys))) do
      local task = text and read_record(text)
      if task and not string.find('sfc', task.state, 1, true) and not string.find(task.flags, 'z', 1, true) then
        open = open + 1
      end
    end
  end
  return open
end

local function mend_flow_book(flow, about, book, score, what)
  if zset_has(book, flow) then return end
  wrong(flow, about, what, 'listed', function()
    redis.call('ZADD', KEYS[1] .. book, string.format('%.0f', score), flow)
  end)
end

local function mend_flow(flow)
  local key = KEYS[1] .. 'flow:' .. flow
  local facts = redis.call('HMGET', key, 'state', 'left', 'name', 'ttl_s', 'created')
  local state, about = facts[1], { queue = '-', name = facts[3] or '-' }
  if not state or state == 'swept' then return end
  if state == 'staged' then
    return mend_flow_book(flow, about, 'flows:ended', now + 3600000, 'tasks that were to be added to a flow would have stayed')
  end
  mend_flow_book(flow, about, 'flows', tonumber(facts[5] or now) or now, 'a flow that was not listed')
  if state == 'building' or state == 'running' or state == 'retrying' then
    mend_flow_book(flow, about, 'flows:open', now, 'a flow that goes on was not among those')
  else
    local gone = now + 1000 * (tonumber(facts[4] or 0) or 0)
    mend_flow_book(flow, about, 'flows:ended', gone, 'a flow that has ended would have stayed for ever')
  end
  if state ~= 'running' or redis.call('LLEN', key .. ':ids') > FLOW_COUNTED_MAX then return end
  -- a retry, or a page of edges, is under way
  if redis.call('HEXISTS', key, 'firing') == 1 then return end
  local open = open_members(key)
  if open == tonumber(facts[2] or '') then return end
  local what = string.format('left was booked as %s, and is %.0f', facts[2] or 'nothing', open)
  wrong(flow, about, what, 'corrected', function()
    redis.call('HSET', key, 'left', open)
    if open == 0 then the_flows().end_flow(flow) end
  end)
end
