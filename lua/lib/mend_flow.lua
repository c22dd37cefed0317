--[[
lib/mend_flow: a flow's account agrees with its tasks, and it stands in the books that its state asks for.
]]
--- @include lib/open
local FLOW_COUNTED_MAX = 20000

local function mend_left(flow, open)
  local left, name = unpack(redis.call('HMGET', KEYS[1] .. 'flow:' .. flow, 'left', 'name'))
  if open == tonumber(left or '') then return end
  local what = string.format('left was booked as %s, and is %.0f', left or 'nothing', open)
  wrong(flow, { queue = '-', name = name or '-' }, what, 'corrected', function()
    redis.call('HSET', KEYS[1] .. 'flow:' .. flow, 'left', open)
    if open == 0 then the_flows().end_flow(flow) end
  end)
end

-- subject: "<id> <token> <open>", as flow/tally has counted them.
local function mend_flow_left(subject)
  local flow, token, open = string.match(subject, '^(%w+) ([^ ]+) (%d+)$')
  if flow and open_token(flow) == token then mend_left(flow, tonumber(open)) end
end

local function mend_flow_book(flow, about, book, score, what)
  if zset_has(book, flow) then return end
  wrong(flow, about, what, 'listed', function()
    redis.call('ZADD', KEYS[1] .. book, string.format('%.0f', score), flow)
  end)
end

local function mend_flow(flow)
  local key = KEYS[1] .. 'flow:' .. flow
  local facts = redis.call('HMGET', key, 'state', 'name', 'ttl_s', 'created')
  local state, about = facts[1], { queue = '-', name = facts[2] or '-' }
  if not state or state == 'swept' then return end
  if state == 'staged' then
    return mend_flow_book(flow, about, 'flows:ended', now + 3600000, 'tasks that were to be added to a flow would have stayed')
  end
  mend_flow_book(flow, about, 'flows', tonumber(facts[4] or now) or now, 'a flow that was not listed')
  if state == 'building' or state == 'running' or state == 'retrying' then
    mend_flow_book(flow, about, 'flows:open', now, 'a flow that goes on was not among those')
  else
    local gone = now + 1000 * (tonumber(facts[3] or 0) or 0)
    mend_flow_book(flow, about, 'flows:ended', gone, 'a flow that has ended would have stayed for ever')
  end
  -- a retry is under way, or it is counted by pages
  if open_token(flow) == '' then return end
  local size = redis.call('LLEN', key .. ':ids')
  if size <= FLOW_COUNTED_MAX then mend_left(flow, open_among(flow, 0, size - 1)) end
end
