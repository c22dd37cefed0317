--[[
breaker/report: what became of calls to a subject, and whether the next may be made; shard 0 only.

KEYS[1]  root      prefix of every key of shard 0

ARGV[1]  subject   what is called
ARGV[2]  nonce     new for every call of this script, the same when it is repeated after a lost reply
ARGV[3]  calls     how many calls have ended since the last report
ARGV[4]  failures  how many of them failed
ARGV[5]  slow      how many of them were slow, failed or not
ARGV[6]  refused   how many were not made, because it was open
ARGV[7]  token     of a call that was tried while it was half-open and has ended; "" for none
ARGV[8]  outcome   of that call: good, bad, or "none" if it says nothing about the subject
ARGV[9]  ask       1 when the caller would make a call now
ARGV[10] tried_ms  how long a call that is tried may take before another may be

Returns  {state, forced, wait_ms, allowed, token, thresholds}
         state     closed, open or half-open; forced: open, closed or ""
         wait_ms   until it may be worth to ask again; 0 for now
         allowed   1 the call may be made, or nobody asked and it is closed; else 0
         token     to be reported with the outcome of the call, when it is one that is tried; else ""
         thresholds as lib/breaker has them
]]
--- @include lib/clock
--- @include lib/event
--- @include lib/tell
--- @include lib/breaker
local REMEMBERED_MS, ASK_AGAIN_MS = 60000, 1000
local subject, nonce, token, outcome = ARGV[1], ARGV[2], ARGV[7], ARGV[8]
local it = breaker(subject)
local calls, failures, slow = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local function judge()
  if it.forced or it.state ~= 'closed' or failures + slow == 0 then return end
  local sums = it.sums()
  if sums[1] < it.least then return end
  if sums[2] >= it.need_failures and sums[2] >= it.share * sums[1] and sums[2] > 0 then
    it.become('open', string.format('%d of %d calls failed in %g s', sums[2], sums[1], it.window_ms / 1000))
  elseif it.slow_ms > 0 and sums[3] > 0 and sums[3] >= it.slow_share * sums[1] then
    it.become('open', string.format('%d of %d calls took over %g s', sums[3], sums[1], it.slow_ms / 1000))
  end
end

local function end_try()
  local was = it['@' .. token]
  redis.call('HDEL', it.key(), '@' .. token)
  it['@' .. token] = nil
  if not was or it.state ~= 'half-open' or it.forced then return end
  if outcome == 'bad' then
    it.become('open', 'a call that was tried failed')
  elseif outcome == 'good' then
    local good = redis.call('HINCRBY', it.key(), 'good', 1)
    it.good = good
    if good >= it.probes then it.become('closed', good .. ' calls that were tried went well') end
  end
end

if redis.call('SET', KEYS[1] .. 'told:' .. nonce, '1', 'NX', 'PX', REMEMBERED_MS) then
  if calls > 0 then
    it.count(calls, failures, slow)
    redis.call('HINCRBY', it.key(), 'calls', calls)
    if failures > 0 then redis.call('HINCRBY', it.key(), 'failures', failures) end
    if slow > 0 then redis.call('HINCRBY', it.key(), 'slow', slow) end
  end
  if ARGV[6] ~= '0' then redis.call('HINCRBY', it.key(), 'refused', ARGV[6]) end
  if token ~= '' then end_try() end
  judge()
end

local allowed, mine, wait = 0, '', it.wait_ms()
if it.forced then
  allowed = it.forced == 'closed' and 1 or 0
elseif it.state == 'closed' then
  allowed = 1
elseif ARGV[9] == '1' then
  if it.state == 'open' and wait == 0 then it.become('half-open', 'calls are tried') end
  if it.state == 'half-open' then
    if not it['@' .. nonce] and it.tried() + (tonumber(it.good or '') or 0) < it.probes then
      it['@' .. nonce] = string.format('%.0f', now + tonumber(ARGV[10]))
      it.put('@' .. nonce, it['@' .. nonce])
    end
    if it['@' .. nonce] then allowed, mine = 1, nonce else wait = math.min(ASK_AGAIN_MS, it.recovery_ms) end
  end
end
if it.known or calls > 0 or ARGV[6] ~= '0' then it.keep() end
return { it.state, it.forced or '', wait, allowed, mine, it.set or THRESHOLDS }
