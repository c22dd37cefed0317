--[[
flow/retry: what did not succeed in a flow is tried again, a page a call.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  flow      its id
ARGV[2]  nonce     the same for all calls of one retry, new for each
ARGV[3]  limit     how many tasks to look at, 1 to 1000

Returns  {"more"}    the call should be repeated
         {"done", n} all is under way; so many tasks have not ended
         {"state", state}  it has not ended, or all of it succeeded, or runs again by another retry: nothing
                     was changed
         {"missing"}

First every task that failed, was cancelled or left out waits again, as if it had never run, and counts its
edges anew; then those that have ended tell it anew. A failure whose alternative succeeded, or runs, stays.
Until the last task waits, nothing is fired: the flow is in the state retrying. One that was revived by
itself runs meanwhile, and any may end at any moment: flag y keeps its end for the second look, which tells
each end once. A retry that was not carried on is carried on by the next one, whatever its nonce.
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/settle
local flow, nonce, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
local key = KEYS[1] .. 'flow:' .. flow

local function stay(id)
  for _, name in ipairs({ 't:', 'p:', 'kids:', 'need:', 'saved:' }) do redis.call('PERSIST', KEYS[1] .. name .. id) end
end

-- Whether one that took its place succeeded, or was revived by itself and goes on.
local function replaced(task)
  for _ = 1, 100 do
    local id = task.state == 'f' and option(task, 'k')
    task = id and record_of(id)
    if not task then return false end
    if task.state == 's' then return true end
    if string.find('dqrp', task.state, 1, true) then return string.find(task.flags, 'v', 1, true) ~= nil end
  end
  return false
end

-- Its end was told: those outside the flow, and those that were suspended, shall not hear of it twice.
local function strike_out_told(task)
  if not string.find(task.flags, 'z', 1, true) or not string.find(task.flags, 'm', 1, true) then return end
  if redis.call('HEXISTS', KEYS[1] .. 'rippling', task.id) == 1 then return end
  local kids = KEYS[1] .. 'kids:' .. task.id
  for _, edge in ipairs(redis.call('LRANGE', kids, 0, -1)) do
    local child = string.sub(edge, 24, 24) ~= 'w' and record_of(string.sub(edge, 1, 22))
    if not child or option(child, 'f') ~= flow then redis.call('LREM', kids, 0, edge) end
  end
end

local function wait_again(task)
  redis.call('ZREM', KEYS[1] .. 'dead', task.id)
  task.flags = string.gsub(task.flags, '[^smn]', '') .. 'zy'
  task.state, task.version, task.since, task.worker = 'w', task.version + 1, now, '-'
  task.attempt, task.strikes, task.fence, task.mailbox = 0, 0, '0', '-'
  if keeps(task) then forget_refusals(task) end
  task.text = string.sub(task.text, 1, args_end(task)) -- what came of it before is over
  redis.call('SET', KEYS[1] .. 't:' .. task.id, write_record(task))
  local need = KEYS[1] .. 'need:' .. task.id
  if string.find(task.flags, 'n', 1, true) then
    redis.call('HDEL', need, 'neutral', 'lost', 'skip', 'ignored', 'called')
    redis.call('HSET', need, 'left', redis.call('HGET', need, 'of'))
  end
  local total_ms = option(task, 'd')
  if total_ms then redis.call('ZADD', KEYS[1] .. 'due', string.format('%.0f', now + total_ms), 'y' .. task.id) end
  event(task.id, 'waiting', task)
end

local function forget_ripple(id)
  redis.call('HDEL', KEYS[1] .. 'rippling', id)
  redis.call('ZREM', KEYS[1] .. 'due', 'e' .. id)
end

-- The first look. Whoever is not replaced counts as one whose end is still to be told.
local function reset(task)
  stay(task.id)
  strike_out_told(task)
  forget_ripple(task.id)
  if replaced(task) then
    redis.call('HINCRBY', key, 'failed', 1)
    redis.call('HINCRBY', key, 'handled', 1)
    return
  end
  redis.call('HINCRBY', key, 'left', 1)
  if string.find('fc', task.state, 1, true) then return wait_again(task) end
  add_flag(task, 'z')
  add_flag(task, 'y')
  redis.call('SET', KEYS[1] .. 't:' .. task.id, write_record(task))
end

-- The second look: who has ended by now tells it, and who has not will.
local function tell_again(task)
  if not string.find(task.flags, 'y', 1, true) then return end
  local ended = string.find('sfc', task.state, 1, true)
  local flags = string.gsub(task.flags, ended and 'y' or '[zy]', '')
  task.flags = flags == '' and '-' or flags
  stay(task.id)
  redis.call('SET', KEYS[1] .. 't:' .. task.id, write_record(task))
  if ended then ended_kin[#ended_kin + 1] = task end
  -- those that it did not wait for wait again by now
  if task.state == 's' and redis.call('HEXISTS', KEYS[1] .. 'need:' .. task.id, 'rivals') == 1 then
    redis.call('HDEL', KEYS[1] .. 'need:' .. task.id, 'called')
    redis.call('ZADD', KEYS[1] .. 'due', now, 'c' .. task.id)
  end
end

local function page(offset)
  local tasks, keys, ids = {}, {}, redis.call('LRANGE', key .. ':ids', offset, offset + limit - 1)
  for i, id in ipairs(ids) do keys[i] = KEYS[1] .. 't:' .. id end
  for i, text in ipairs(#ids > 0 and redis.call('MGET', unpack(keys)) or {}) do
    local task = text and read_record(text)
    if task then
      task.id = ids[i]
      tasks[#tasks + 1] = task
    end
  end
  return tasks, #ids
end

local function begin(name)
  for _, rest in ipairs({ '', ':ids', ':graph' }) do redis.call('PERSIST', key .. rest) end
  redis.call('PERSIST', KEYS[1] .. 'kids:' .. flow)
  redis.call('HSET', key, 'state', 'retrying', 'retried', nonce, 'at', 0, 'left', 0, 'failed', 0, 'handled', 0,
    'cancelled', 0, 'skipped', 0, 'unhandled', 0)
  redis.call('HDEL', key, 'cancel', 'ended', 'firing')
  forget_ripple(flow)
  redis.call('ZREM', KEYS[1] .. 'flows:ended', flow)
  redis.call('ZADD', KEYS[1] .. 'flows:open', now, flow)
  event(flow, 'flow-retried', { version = 1, fence = '0', queue = '-', name = name })
end

local facts = redis.call('HMGET', key, 'state', 'retried', 'at', 'firing', 'name')
local state = facts[1]
if not state then return { 'missing' } end
if (state == 'failed' or state == 'cancelled') and facts[2] ~= nonce then
  begin(facts[5] or '-')
  facts[3], facts[4] = '0', false
elseif not facts[3] then
  if facts[2] ~= nonce then return { 'state', state } end
  return { 'done', tonumber(redis.call('HGET', key, 'left') or 0) }
elseif facts[2] ~= nonce then
  redis.call('HSET', key, 'retried', nonce)
end
local at = tonumber(facts[3])
local tasks, looked = page(at)
for _, task in ipairs(tasks) do
  if facts[4] then tell_again(task) else reset(task) end
end
local over = at + looked >= redis.call('LLEN', key .. ':ids')
if not over then
  redis.call('HSET', key, 'at', at + looked)
elseif not facts[4] then
  redis.call('HSET', key, 'at', 0, 'firing', 1, 'state', 'running')
else
  redis.call('HDEL', key, 'at', 'firing')
end
if facts[4] and at == 0 then the_flows().launch(flow) end
close_books()
if not over or not facts[4] then return { 'more' } end
local left = tonumber(redis.call('HGET', key, 'left') or 0)
if left == 0 then the_flows().end_flow(flow) end
write_events()
return { 'done', left }
