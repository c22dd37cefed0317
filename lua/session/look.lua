--[[
session/look: a session as it stands, and a page of what was said.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  session   its id
ARGV[2]  after     turns behind this one; 0 for all
ARGV[3]  limit     how many turns at most, 0 to 1,000

Returns  {fields, people, places, turns}; false when there is none
         fields    {name, value, ...} of HASH bus:session:<id>
         people    {name, "<state> <at> <nth> <role>", ...}
         places    {name, turn, pending, ...}: how far each was given it, and how many of that are not settled
         turns     {{id, {field, value, ...}}, ...}
]]
local fields = redis.call('HGETALL', KEYS[1] .. 'bus:session:' .. ARGV[1])
if #fields == 0 then return false end
local key, places, turns = KEYS[1] .. 'bus:s:n~' .. ARGV[1], {}, {}
local groups = redis.pcall('XINFO', 'GROUPS', key)
for _, group in ipairs(groups.err and {} or groups) do
  local known = {}
  for i = 1, #group, 2 do known[group[i]] = group[i + 1] end
  local at = #places
  places[at + 1] = string.sub(known.name, 2)
  places[at + 2], places[at + 3] = string.match(known['last-delivered-id'], '^%d+'), known.pending
end
if tonumber(ARGV[3]) > 0 then turns = redis.call('XRANGE', key, '(' .. ARGV[2] .. '-0', '+', 'COUNT', ARGV[3]) end
return { fields, redis.call('HGETALL', KEYS[1] .. 'bus:who:' .. ARGV[1]), places, turns }
