--[[
fleet/campaign: a supervisor would lead, or goes on leading; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  name      of the supervisor; no other process has it
ARGV[2]  lease_ms  how long it leads unless it calls again
ARGV[3]  floor     the highest epoch that must not be its own: one less than the epoch it holds, to
                   keep that; else the highest it has heard of, 0 for none
ARGV[4]  settings  JSON: how it would lead
ARGV[5]  info      JSON: where it runs, for lists

Returns  {leads, name, epoch, left_ms, since_ms, settings}
         leads     1: the caller is the leader, elected now or before; 0: the named one is
         left_ms   how long its lease still lasts
         since_ms  when it was elected, in milliseconds since 1970

An epoch is max(last + 1, floor + 1, now in microseconds): it grows even when a failover rolled the
last one back. A call that is repeated after a lost reply finds its own election and returns that.
]]
--- @include lib/clock
--- @include lib/event
--- @include lib/tell
--- @include lib/leader
local FORGOTTEN_MS = 3600000
local KEPT_LEASES = 4
local name, lease_ms, floor = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local function seat(epoch, since, settings)
  redis.call('SET', KEYS[1] .. 'leader', name .. ' ' .. epoch .. ' ' .. since .. ' ' .. settings,
    'PX', lease_ms)
  return { 1, name, tonumber(epoch), lease_ms, tonumber(since), settings }
end

local function next_epoch()
  local last = tonumber(redis.call('GET', KEYS[1] .. 'epoch') or '0') or 0
  local epoch = string.format('%.0f', math.max(last + 1, floor + 1, now_us))
  redis.call('SET', KEYS[1] .. 'epoch', epoch)
  return epoch
end

local function after_whom()
  local led = redis.call('GET', KEYS[1] .. 'led')
  if not led then return '' end
  local who, resigned = string.match(led, '^([^ ]+)(.*)$')
  if who == name then return ' after a pause' end
  return ' after ' .. who .. (resigned ~= '' and ' resigned' or ' went silent')
end

-- not deny-oom, so first: somebody must lead when Redis is full
redis.call('PERSIST', KEYS[1] .. 'lease')
redis.call('ZADD', KEYS[1] .. 'supervisors', now, name)
redis.call('ZREMRANGEBYSCORE', KEYS[1] .. 'supervisors', '-inf', now - FORGOTTEN_MS)
redis.call('SET', KEYS[1] .. 'supervisor:' .. name, ARGV[5], 'PX', KEPT_LEASES * lease_ms)
local leader = leader_now()
if leader and leader.name ~= name then
  return { 0, leader.name, tonumber(leader.epoch), redis.call('PTTL', KEYS[1] .. 'leader'),
    tonumber(leader.since), leader.settings }
end
if leader and tonumber(leader.epoch) > floor then return seat(leader.epoch, leader.since, ARGV[4]) end
local epoch = next_epoch()
tell(epoch, 'elected', name, 'leads with epoch ' .. epoch .. after_whom())
redis.call('SET', KEYS[1] .. 'led', name)
return seat(epoch, string.format('%.0f', now), ARGV[4])
