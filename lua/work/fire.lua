--[[
work/fire: a slot of a schedule comes to pass: its task is enqueued, or it is said why not.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     of the leader; "" when the schedule is run by hand
ARGV[2]  name      the schedule
ARGV[3]  version   as it was read
ARGV[4]  due_ms    the slot that is due, as it was read; "" by hand
ARGV[5]  slot_ms   the slot that is fired: that one, or a later one when some were missed; 0 by hand
ARGV[6]  next_ms   the slot to come after it, or inf; "" by hand
ARGV[7]  words     the slot in words, for events
ARGV[8]  passed    how many missed slots are left out
ARGV[9]  overlap   while an earlier run lives: skip | queue | cancel-oldest
ARGV[10] on_full   wait (the slot stays due) | refuse (it is left out) | force
ARGV[11...]        the task, as one group of work/enqueue; nothing when all slots are left out

Returns  {"fired", id}       also when an earlier call did it
         {"skipped", why}    the slot is over, and nothing was enqueued
         {"full", queue, depth, high, bytes, max_bytes}  nothing was changed
         {"changed"}         the schedule, or which slot is due, is not as it was read: nothing was
                             changed; so no slot is fired twice, whoever else leads or has led

         an error DEPOSED <epoch>: a newer leader was seen; STOPPED <who and why>: the fleet is
         read-only, see lib/readonly. Nothing was changed

A run by hand minds neither pauses nor earlier runs.
]]
local orders_at, make_room = 10, nil
--- @include lib/clock
--- @include lib/epoch
--- @include lib/record
--- @include lib/event
--- @include lib/tell
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/settle
--- @include lib/promote
--- @include lib/cancel
--- @include lib/readonly
--- @include lib/place
local RUNS_MAX = 20
local epoch, name, words, passed = ARGV[1], ARGV[2], ARGV[7], tonumber(ARGV[8])
local by_hand, id = ARGV[4] == '', ARGV[21]
local key = KEYS[1] .. 'schedule:' .. name

local function say(what, detail)
  tell(epoch == '' and '0' or epoch, what, name, detail)
end

local function live_runs(runs)
  local live = {}
  for run in string.gmatch(runs, '%d+ (%w+) [^\n]*') do
    local task = record_of(run)
    if task and not string.find('sfc', task.state, 1, true) then live[#live + 1] = task end
  end
  return live
end

local function left_out(why)
  redis.call('HSET', key, 'note', now .. ' ' .. words .. ': ' .. why)
  say('skipped', words .. ': ' .. why)
end

-- The slot is over, whatever became of it.
local function move_on()
  if by_hand then return end
  redis.call('ZADD', KEYS[1] .. 'schedules', ARGV[6], name)
  if passed == 0 then return end
  redis.call('HINCRBY', key, 'missed', passed)
  left_out(passed .. (id and ' before it' or ' with it') .. ' missed, because nobody led')
end

local function skip(why)
  redis.call('HINCRBY', key, 'skipped', 1)
  move_on()
  left_out(why)
  return { 'skipped', why }
end

local function remember(runs)
  local lines, amount = ARGV[5] .. ' ' .. id .. ' - ' .. now, 1
  for line in string.gmatch(runs, '[^\n]+') do
    if amount < RUNS_MAX then lines, amount = lines .. '\n' .. line, amount + 1 end
  end
  redis.call('HSET', key, 'runs', lines, 'last', by_hand and now or ARGV[5])
  redis.call('HINCRBY', key, 'fired', 1)
end

local function cancel_all(tasks)
  for _, task in ipairs(tasks) do cancel_task(task, 'the next run of schedule ' .. name .. ' is due') end
  close_books()
end

local function fire(runs)
  local live = (by_hand or ARGV[9] == 'queue') and {} or live_runs(runs)
  if #live > 0 and ARGV[9] == 'skip' then return skip('run ' .. live[1].id .. ' has not ended') end
  local answer = place_groups()
  if answer[2] == '-' then return refusal(ARGV[12]) end
  if answer[1] == 'full' then
    if by_hand then return answer end
    return skip('queue ' .. ARGV[12] .. ' is full')
  end
  remember(runs)
  move_on()
  say('fired', words .. ' as ' .. id)
  cancel_all(live)
  return { 'fired', id }
end

local refused = deposed(epoch)
if refused then return refused end
local facts = redis.call('HMGET', key, 'version', 'runs')
local runs = facts[2] or ''
if id and string.find(runs, ' ' .. id .. ' ', 1, true) then return { 'fired', id } end
if facts[1] ~= ARGV[3] then return { 'changed' } end
if not by_hand and redis.call('ZSCORE', KEYS[1] .. 'schedules', name) ~= ARGV[4] then return { 'changed' } end
local no = stopped()
if no then return no end
if id then return fire(runs) end
move_on()
return { 'skipped', 'missed' }
