--[[
breaker/look: breakers as they stand; shard 0 only.

KEYS[1]  root      prefix of every key of shard 0

ARGV[1...]         subjects; none: all, those that were written last first, up to 1,000

Returns  {{subject, known, state, forced, wait_ms, since_ms, opened, window, totals, good, tried, own,
           thresholds, who, why}, ...}
         known     0 when nothing is kept of it: it is closed
         window    {calls, failures, slow} in the window
         totals    {calls, failures, slow, refused} since it is known
         good      calls that were tried and went well; tried: calls that are being tried
         own       1 when it has thresholds of its own
         thresholds as lib/breaker has them
]]
--- @include lib/clock
--- @include lib/event
--- @include lib/tell
--- @include lib/breaker
local MOST = 1000
local index = KEYS[1] .. 'breakers'
local subjects, found = ARGV, {}
if #subjects == 0 then subjects = redis.call('ZREVRANGE', index, 0, MOST - 1) end
for _, subject in ipairs(subjects) do
  local it = breaker(subject, true)
  if not it.known then redis.call('ZREM', index, subject) end
  if it.known or #ARGV > 0 then
    found[#found + 1] = {
      subject, it.known and 1 or 0, it.state, it.forced or '', it.wait_ms(), it.since or '0',
      it.opened or '0', it.sums(), { it.calls or '0', it.failures or '0', it.slow or '0', it.refused or '0' },
      it.good or '0', it.tried(), it.set and 1 or 0, it.set or THRESHOLDS, it.who or '', it.why or '',
    }
  end
end
return found
