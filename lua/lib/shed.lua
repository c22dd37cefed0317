--[[
lib/shed: low messages that nobody holds make room for others, as dead letters.

Gives shed_low; wants lib/channel, lib/group and lib/bury.
]]
local function is_held(channel, id)
  for group in pairs(channel.on) do
    if redis.call('ZSCORE', KEYS[1] .. 'bus:held:' .. group, 'l' .. channel.name .. ' ' .. id) then return true end
  end
  return false
end

-- Buries the oldest low messages until one of `size` has room in `lane`; gives whether it has.
local function shed_low(channel, lane, size, has_room)
  local PAGE, SCAN_MAX = 20, 200
  local key, from, scanned = KEYS[1] .. 'bus:s:l' .. channel.name, '-', 0
  while scanned < SCAN_MAX and string.find(channel.lanes, 'l', 1, true) do
    local page = redis.call('XRANGE', key, from, '+', 'COUNT', PAGE)
    for _, entry in ipairs(page) do
      if not is_held(channel, entry[1]) then
        bury('', channel.name, 'l', 'shed', 0, entry[2])
        redis.call('XDEL', key, entry[1])
        redis.call('HDEL', KEYS[1] .. 'bus:done:' .. channel.name, 'l' .. entry[1])
        channel.entries, channel.went = channel.entries - 1, channel.went + 1
        channel.b = math.max(0, channel.b - size_of(entry[2]) - ENTRY_BYTES)
        if has_room(channel, lane, size) then return true end
      end
      from = '(' .. entry[1]
    end
    scanned = scanned + #page
    if #page < PAGE then break end
  end
  return false
end
