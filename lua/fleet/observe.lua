--[[
fleet/observe: the leader looks at the whole fleet; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's
ARGV[2]  seen_ms   `now` of the last look whose answer it got, 0 for none
ARGV[3...]         workers whose info it needs

Returns  {now, seen, grace_ms, known, {worker, beat, ...}, {worker, info, ttl_ms, ...}, expect,
         writable}
         seen      when any leader last looked, as it said itself; 0 for never
         grace_ms  > 0: workers noticed an outage of Redis, see work/beat
         known     how many workers stand in the roster
         ttl_ms    of the info, counted from the worker's last beat: three of its leases, and less
                   when that was a brief one (see work/beat); who sends those says its lease itself
         expect, writable  what the operator said, see fleet/policy; 0 for nothing

What was seen counts only when its answer has arrived: a call that lay in the buffer of a paused Redis
must not hide the pause. So a look says when the last one was.
]]
--- @include lib/clock
--- @include lib/epoch
-- not deny-oom, so first: the fleet is watched when Redis is full
redis.call('PERSIST', KEYS[1] .. 'lease')
local refused = deposed(ARGV[1])
if refused then return refused end
local roster, policy = KEYS[1] .. 'roster', KEYS[1] .. 'policy'
local seen = tonumber(redis.call('HGET', roster, '*seen') or '0')
local told = tonumber(ARGV[2])
if told > seen then redis.call('HSET', roster, '*seen', ARGV[2]) end

local beats = redis.call('ZRANGE', KEYS[1] .. 'workers', 0, -1, 'WITHSCORES')
local infos = {}
for i = 3, #ARGV do
  local key = KEYS[1] .. 'worker:' .. ARGV[i]
  local info = redis.call('GET', key)
  if info then
    local beat = tonumber(redis.call('ZSCORE', KEYS[1] .. 'workers', ARGV[i]) or now)
    infos[#infos + 1] = ARGV[i]
    infos[#infos + 1] = info
    infos[#infos + 1] = math.floor(redis.call('PTTL', key) + now - beat)
  end
end
local known = redis.call('HLEN', roster)
for _, field in ipairs({ '*seen', '*memory' }) do known = known - redis.call('HEXISTS', roster, field) end
local said = redis.call('HMGET', policy, 'expect', 'writable')
return {
  now, math.max(seen, told), math.max(0, redis.call('PTTL', KEYS[1] .. 'grace')), known, beats, infos,
  tonumber(said[1] or '0'), tonumber(said[2] or '0'),
}
