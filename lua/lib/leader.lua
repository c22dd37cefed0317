--[[
lib/leader: who leads the supervisors, as shard 0 knows it.

STRING leader, `<name> <epoch> <since_ms> <settings>`, expires with the leader's lease. STRING led,
`<name>` or `<name> resigned`, says who won last, also when that lease has ended.
]]
local function leader_now()
  local text = redis.call('GET', KEYS[1] .. 'leader')
  if not text then return nil end
  local name, epoch, since, settings = string.match(text, '^([^ ]+) (%d+) (%d+) (.*)$')
  if not name then return nil end
  return { name = name, epoch = epoch, since = since, settings = settings }
end
