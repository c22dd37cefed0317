--[[
flow/cancel: no task of a flow shall run any more, a page a call.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  flow      its id
ARGV[2]  offset    how many of its tasks have been looked at, 0 in the first call
ARGV[3]  limit     how many to look at, 1 to 1000
ARGV[4]  reason    why, for their records

Returns  {"more", offset}  the call should be repeated with that offset
         {"done", left}    all have been looked at; so many end when their workers have heard
         {"ended", state}  it had ended already: nothing was changed
         {"missing"}

From the first call on nothing is added to the flow, and it ends as cancelled. Its tasks are looked at in
their order, so what a page releases a later one cancels.
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/settle
--- @include lib/promote
--- @include lib/cancel
local flow, offset, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local key = KEYS[1] .. 'flow:' .. flow
-- not deny-oom, so first: a full Redis must be able to shrink
redis.call('PERSIST', KEYS[1] .. 'lease')
local facts = redis.call('HMGET', key, 'state', 'cancel', 'name')
local state = facts[1]
if not state then return { 'missing' } end
if state ~= 'running' and state ~= 'building' and not (state == 'cancelled' and offset > 0) then
  return { 'ended', state }
end
if not facts[2] then
  redis.call('HSET', key, 'cancel', now, 'state', 'running', 'name', facts[3] or '-')
end
local ids = redis.call('LRANGE', key .. ':ids', offset, offset + limit - 1)
local keys = {}
for i, id in ipairs(ids) do keys[i] = KEYS[1] .. 't:' .. id end
for i, text in ipairs(#ids > 0 and redis.call('MGET', unpack(keys)) or {}) do
  local task = text and read_record(text)
  if task and not string.find('sfc', task.state, 1, true) then
    task.id = ids[i]
    cancel_task(task, ARGV[4])
  end
end
close_books()
if #ids == limit then return { 'more', offset + #ids } end
local left = tonumber(redis.call('HGET', key, 'left') or 0) or 0
if left == 0 then the_flows().end_flow(flow) end
write_events()
return { 'done', left }
