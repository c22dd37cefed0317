--[[
work/signal: something has happened that tasks wait for by its name.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  name      of the signal
ARGV[2]  value     JSON that goes with it
ARGV[3]  keep_ms   for how long those who wait later find it as well; 0: not at all
ARGV[4]  nonce     new for every signal; the same for its further pages, and after a lost reply

Returns  {woken, left}
         woken     how many go on by this call, at most 100
         left      1 when others wait still: call again

Who waits when the signal is first said hears it once, however often the call is repeated: the moment of
that is kept under the nonce.
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/wait
--- @include lib/settle
local waits = the_waits()
local PAGE = 100
local HEARD_MS = 60000
local listening, heard = KEYS[1] .. 'listening:' .. ARGV[1], KEYS[1] .. 'heard:' .. ARGV[4]

-- not deny-oom, so first: a signal frees what a full Redis holds for it
redis.call('PERSIST', KEYS[1] .. 'lease')
local said_us = redis.call('GET', heard)
if not said_us then
  said_us = string.format('%.0f', now_us)
  redis.call('SET', heard, said_us, 'PX', HEARD_MS)
  if ARGV[3] ~= '0' then redis.call('SET', KEYS[1] .. 'signal:' .. ARGV[1], ARGV[2], 'PX', ARGV[3]) end
end

local function hear(id)
  local task = record_of(id)
  local wait = task and task.state == 'p' and waits.wait_of(task)
  if not wait or wait.kind ~= 'signal' or wait.name ~= ARGV[1] then return 0 end
  if wait.node then
    waits.leave(task)
    settle(task, 's', ARGV[2], '')
  else
    waits.come(task, wait, '{"value":' .. ARGV[2] .. '}')
  end
  return 1
end

local ids = redis.call('ZRANGEBYSCORE', listening, '-inf', said_us, 'LIMIT', 0, PAGE)
local woken = 0
for _, id in ipairs(ids) do
  redis.call('ZREM', listening, id)
  woken = woken + hear(id)
end
close_books()
return { woken, redis.call('ZCOUNT', listening, '-inf', said_us) > 0 and 1 or 0 }
