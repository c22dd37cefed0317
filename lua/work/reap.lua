--[[
work/reap: take back claims whose lease has run out.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's; "" for who does not lead, such as a worker
ARGV[2]  limit     how many at most, 1 to 1000

Returns  {reaped, grace_ms, lapse_in_ms}
         reaped    how many were taken back
         grace_ms  > 0: nothing is taken back for so long, because Redis was away (see work/beat)
         lapse_in_ms  until the next claim lapses; false when nothing is claimed

A lapse of a worker that beats is a lost reply and costs nothing; one of a worker that was silent when
the lease ended is taken for its death: a strike. Workers silent for a day are forgotten.
]]
--- @include lib/clock
--- @include lib/epoch
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/settle
--- @include lib/giveback
local FORGOTTEN_MS = 86400000

-- Whether a worker lived when a lease of its ended. A lease that nobody extends ends one lease after
-- the last beat, so a dead worker was silent for all of it; a living one beats several times a lease.
-- How long a lease is follows from the worker's info, which lives for three from each beat that is not
-- brief: so it is taken for shorter by some beats, but they are not many to a lease (see work/beat).
local function beating(worker, ended)
  local beat = tonumber(redis.call('ZSCORE', KEYS[1] .. 'workers', worker) or '0')
  local info_ms = redis.call('PTTL', KEYS[1] .. 'worker:' .. worker)
  return info_ms > 0 and ended - beat < (info_ms + now - beat) / 6
end

local refused = deposed(ARGV[1])
if refused then return refused end
local grace_ms = redis.call('PTTL', KEYS[1] .. 'grace')
if grace_ms > 0 then return { 0, grace_ms, grace_ms } end
local lapsed = redis.call('ZRANGEBYSCORE', KEYS[1] .. 'lease', '-inf', now, 'WITHSCORES', 'LIMIT', 0, tonumber(ARGV[2]))
local reaped = 0
for i = 1, #lapsed, 2 do
  local member = lapsed[i]
  redis.call('ZREM', KEYS[1] .. 'lease', member)
  local id = string.sub(member, 1, 22)
  local task = record_of(id)
  if task and task.state == 'r' and task.fence == string.sub(member, 24) then
    count(task.queue, 'lapsed', 1)
    give_back(task, 'lapsed', not beating(string.match(task.worker, '^[^/]+'), tonumber(lapsed[i + 1])))
    reaped = reaped + 1
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1] .. 'workers', '-inf', now - FORGOTTEN_MS)
close_books()
local oldest = redis.call('ZRANGE', KEYS[1] .. 'lease', 0, 0, 'WITHSCORES')
return { reaped, 0, oldest[2] and math.ceil(oldest[2] - now) or false }
