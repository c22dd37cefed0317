--[[
topology/past: the versions that the topology had, newest first; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

Returns  {{version, at_ms, who, why, text}, ...}: up to 32, the one that is set among them
]]
local found = {}
for _, entry in ipairs(redis.call('LRANGE', KEYS[1] .. 'topology:past', 0, -1)) do
  local version, at, who, why, text = string.match(entry, '^(%d+) (%d+) ([^\n]*)\n([^\n]*)\n(.*)$')
  if version then found[#found + 1] = { tonumber(version), at, who, why, text } end
end
return found
