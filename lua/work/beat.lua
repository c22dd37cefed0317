--[[
work/beat: one worker says that it lives, and keeps the claims it holds.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  worker    its name
ARGV[2]  lease_ms  from now on
ARGV[3]  info      JSON about the worker, or "" when it is as it was
ARGV[4]  joins     "1": where nothing is known of the worker, info is the first that is | ""
ARGV[5...]         members "id|fence" that it holds, at most 1000

Returns  {known, lapse_in_ms, {lost member, ...}, {cancelled member, ...}, now_ms}
         known     1 as it should be | 0 Redis has forgotten the worker, which was given up: it joins
                   anew with its next beat. Only then: so it hears of it whatever reply is lost
         lapse_in_ms  until the next claim of the shard lapses, whoever holds it: call work/reap
                   then, or at once when it is not above 0; false when nothing is claimed
         now_ms    what time it is: by that the worker's next beats may do without this script

A worker that knows what time it is may say the same by plain commands: ZADD workers XX GT CH <now> <worker>,
and ZADD lease XX GT CH <now + lease> <member> ... for what it holds. XX: who was given up is not brought
back by that. With every third beat it asks as well what time it is, whether its info is still there, whether
anything is cancelled, and what lapses next. This script is due when the first does not answer 1, when one of
these is amiss, and when there is news.

When nobody has beaten for longer than half a lease that was an outage of Redis, not of the fleet:
nobody reaps for one lease, so that all can beat first.
]]
--- @include lib/clock
local lease_ms = tonumber(ARGV[2])
local info_key = KEYS[1] .. 'worker:' .. ARGV[1]

-- not deny-oom, so first: a beat must succeed when Redis is full
local known = redis.call('PEXPIRE', info_key, lease_ms * 3)
if ARGV[3] ~= '' and known == 1 then
  redis.call('SET', info_key, ARGV[3], 'KEEPTTL')
elseif ARGV[3] ~= '' and ARGV[4] == '1' then
  redis.call('SET', info_key, ARGV[3], 'PX', lease_ms * 3)
  known = 1
end
local last = redis.call('ZRANGE', KEYS[1] .. 'workers', -1, -1, 'WITHSCORES')
if last[2] and now - tonumber(last[2]) > lease_ms / 2 then
  redis.call('SET', KEYS[1] .. 'grace', '1', 'PX', lease_ms)
end
redis.call('ZADD', KEYS[1] .. 'workers', now, ARGV[1])

local lost, cancelled, is_lost = {}, {}, {}
if #ARGV > 4 then
  local expiry, scores = string.format('%.0f', now + lease_ms), {}
  for i = 5, #ARGV do
    scores[#scores + 1] = expiry
    scores[#scores + 1] = ARGV[i]
  end
  -- how many it changed is asked, not which it knew: that is cheaper, and nearly always enough
  local extended = redis.call('ZADD', KEYS[1] .. 'lease', 'XX', 'CH', unpack(scores))
  if extended < #ARGV - 4 then
    for i, score in ipairs(redis.call('ZMSCORE', KEYS[1] .. 'lease', unpack(ARGV, 5))) do
      if not score then
        lost[#lost + 1] = ARGV[i + 4]
        is_lost[ARGV[i + 4]] = true
      end
    end
  end
  if redis.call('EXISTS', KEYS[1] .. 'cancels') == 1 then
    local ids = {}
    for i = 5, #ARGV do ids[#ids + 1] = string.sub(ARGV[i], 1, 22) end
    for i, hit in ipairs(redis.call('SMISMEMBER', KEYS[1] .. 'cancels', unpack(ids))) do
      local member = ARGV[i + 4]
      if hit == 1 and not is_lost[member] then cancelled[#cancelled + 1] = member end
    end
  end
end
local oldest = redis.call('ZRANGE', KEYS[1] .. 'lease', 0, 0, 'WITHSCORES')
return { known, oldest[2] and math.ceil(oldest[2] - now) or false, lost, cancelled, now }
