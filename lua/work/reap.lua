--[[
work/reap: take back claims whose lease has run out.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  limit     how many at most, 1 to 1000

Returns  {reaped, grace_ms}
         reaped    how many were taken back
         grace_ms  > 0: nothing is taken back for so long, because Redis was away (see work/beat)

A lapse of a worker that has beaten within the last lease is a lost reply and costs nothing; one of a
silent worker is taken for its death: a strike.
]]
--- @include lib/clock
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/settle
--- @include lib/giveback
local grace_ms = redis.call('PTTL', KEYS[1] .. 'grace')
if grace_ms > 0 then return { 0, grace_ms } end
local lapsed = redis.call('ZRANGEBYSCORE', KEYS[1] .. 'lease', '-inf', now, 'WITHSCORES', 'LIMIT', 0, tonumber(ARGV[1]))
local reaped = 0
for i = 1, #lapsed, 2 do
  local member = lapsed[i]
  redis.call('ZREM', KEYS[1] .. 'lease', member)
  local id = string.sub(member, 1, 22)
  local task = read_record(redis.call('GET', KEYS[1] .. 't:' .. id) or '')
  if task and task.state == 'r' and task.fence == string.sub(member, 24) then
    task.id = id
    local worker = string.match(task.worker, '^[^/]+')
    local beat = tonumber(redis.call('ZSCORE', KEYS[1] .. 'workers', worker) or '0')
    count(task.queue, 'lapsed', 1)
    give_back(task, 'lapsed', beat < tonumber(lapsed[i + 1]) - 1)
    reaped = reaped + 1
  end
end
write_counts()
write_finished()
write_events()
return { reaped, 0 }
