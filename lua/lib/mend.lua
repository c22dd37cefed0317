--[[
lib/mend: what an audit finds wrong is said in words, and put right unless it only looks.

A script that includes this has the caller's epoch in ARGV[1] and "repair" or "look" in ARGV[2].
Scripts are atomic and every one leaves the books balanced, so what one of them sees to be wrong is
wrong: no work that goes on meanwhile can look like it.
]]
local repairing = ARGV[2] == 'repair'
local findings = {}

local function zset_has(key, member)
  return redis.call('ZSCORE', KEYS[1] .. key, member)
end

-- subject: an id or a name. task: its record, if it has one. remedy: what `mend` does about it.
local function wrong(subject, task, what, remedy, mend)
  local words = repairing and what .. ': ' .. remedy or what
  local shown = string.sub(string.gsub(subject, '[%s,+]', '-'), 1, 120)
  findings[#findings + 1] = shown
  findings[#findings + 1] = words
  if not repairing then return end
  mend()
  write_events()
  local fence = ARGV[1] ~= '' and ARGV[1] or '0'
  local about = { version = 1, fence = fence, queue = task and task.queue or '-', name = task and task.name or '-' }
  event(shown, 'repaired', about, words)
  write_events()
end
