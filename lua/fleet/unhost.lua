--[[
fleet/unhost: a worker has none of its agents any more; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  worker    its name

Returns  {name, ...} of the agents that nobody has now; they stay known, and are away
]]
--- @include lib/clock
--- @include lib/event
--- @include lib/tell
--- @include lib/agents
-- not deny-oom, so first: who is gone must be known when Redis is full
redis.call('PERSIST', KEYS[1] .. 'lease')
local left = {}
for _, name in ipairs(with_prefix(KEYS[1] .. 'hosted', ARGV[1])) do
  if unhost(ARGV[1], name) then left[#left + 1] = name end
end
return left
