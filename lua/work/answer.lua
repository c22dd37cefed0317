--[[
work/answer: a person says yes or no to a task that waits for an approval.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  id        the task: a handler that waits, or a node of a flow
ARGV[2]  verdict   approve | reject
ARGV[3]  key       which of a handler's approvals is meant, "" for the one it waits for now
ARGV[4]  by        who says so
ARGV[5]  note      what they say about it, "" for nothing
ARGV[6]  value     JSON that goes with an approval
ARGV[7]  nonce     new for every call, the same when a call is repeated after a lost reply

Returns  {"ok"}                 it goes on; a node has ended
         {"other", key}         it waits for another approval: nothing was changed
         {"state", state}       it waits for no approval (any more): nothing was changed
         {"missing"}
         {"foreign"}            its record was not written by coordq
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/wait
--- @include lib/settle
local HEARD_MS = 60000
local KEPT_MS = 86400000
local NAMED = '"by":' .. cjson.encode(ARGV[4]) .. ',"note":' .. cjson.encode(ARGV[5])
local waits = the_waits()
local approved = ARGV[2] == 'approve'

-- A node ends with the value, or fails.
local function answer_node(task, wait)
  waits.leave(task)
  if approved then return settle(task, 's', ARGV[6], '') end
  local message = ARGV[4] .. ' rejected it' .. (ARGV[5] ~= '' and ': ' .. ARGV[5] or '')
  settle(task, 'f', '{"type":"ApprovalRejected","message":' .. cjson.encode(message)
    .. ',"reason":"rejected",' .. NAMED .. '}', 'rejected')
end

local function say_so(task)
  local text = ARGV[4] .. (ARGV[5] ~= '' and ': ' .. ARGV[5] or '')
  event(task.id, approved and 'approved' or 'rejected', task, (string.gsub(text, '%c', ' ')))
  local key = KEYS[1] .. 'log:' .. task.id
  redis.pcall('RPUSH', key, (approved and 'approved by ' or 'rejected by ') .. text)
  redis.pcall('PEXPIRE', key, KEPT_MS)
end

-- not deny-oom, so first: an answer frees what a full Redis holds for it
redis.call('PERSIST', KEYS[1] .. 'lease')
local task = record_of(ARGV[1])
if not task then return { redis.call('EXISTS', KEYS[1] .. 't:' .. ARGV[1]) == 1 and 'foreign' or 'missing' } end
local wait = task.state == 'p' and waits.wait_of(task)
local heard = KEYS[1] .. 'heard:' .. ARGV[7]
if redis.call('EXISTS', heard) == 1 then return { 'ok' } end
if not wait or wait.kind ~= 'approval' then return { 'state', task.state } end
if ARGV[3] ~= '' and ARGV[3] ~= wait.key then return { 'other', wait.key } end
redis.call('SET', heard, '1', 'PX', HEARD_MS)
say_so(task)
if wait.node then
  answer_node(task, wait)
else
  waits.come(task, wait, approved and '{"value":' .. ARGV[6] .. ',' .. NAMED .. '}' or '{"error":"rejected",' .. NAMED .. '}')
end
close_books()
return { 'ok' }
