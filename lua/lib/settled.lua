--[[
lib/settled: messages that a group has done with: acknowledged, or buried.

What happened, the stream events, is read by groups as well: its places begin with e, and its entries
stay for whoever else reads them.
]]
--- @include lib/bury
local function key_of(place)
  if string.sub(place, 1, 1) == 'e' then return KEYS[1] .. 'events' end
  return KEYS[1] .. 'bus:s:' .. place
end

-- A group has done with entries that it held and has acknowledged; sizes, total: see let_go.
local function release(group, place, ids, sizes, total)
  local members, prefix = {}, place .. ' '
  for i, id in ipairs(ids) do members[i] = prefix .. id end
  redis.call('ZREM', KEYS[1] .. 'bus:held:' .. group, unpack(members))
  if string.sub(place, 1, 1) == 'e' then return end
  let_go(group, place, ids, sizes, total)
  local settings = settings_of(group)
  if is_session(place) or settings and settings.ordered then announce(group, place, 1) end
end

-- An entry that a group holds becomes its dead letter. fields: nil when they have to be read.
local function bury_held(group, place, id, attempts, reason, fields)
  local entry = fields or (redis.call('XRANGE', key_of(place), id, id)[1] or {})[2]
  if entry and string.sub(place, 1, 1) ~= 'e' then
    bury(group, string.sub(place, 2), string.sub(place, 1, 1), reason, attempts, entry)
  end
  redis.pcall('XACK', key_of(place), group, id)
  release(group, place, { id }, entry and tostring(size_of(entry)) or '0')
end
