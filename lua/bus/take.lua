--[[
bus/take: a reader settles what it was given, and is given more, in one round trip.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  reader    its name, the same after a restart
ARGV[2]  nonce     new for every call, the same when a call is repeated after a lost reply
ARGV[3]  want      how many messages at most, 0 to 500
ARGV[4]  join      1 for the first call of a process: what its predecessor held is given out at once
ARGV[5]  groups    "group group ...": whose messages it wants, in order of preference
ARGV[6...]         what it settles, for one group and place each:
         verdict   a acknowledged | n given back | r given back unhandled, which does not count as a
                   delivery | d dead letter
         group, place
         how       a: bytes of h and b of all of them; else "<delay_ms> <reason>": n: until it is given out
                   again; d, and n when it has been given out as often as it may be: why it is a dead letter
         numbers   "number number ...", of each entry one: a: its size, bytes of h and b; else which delivery
                   it was, as `attempt` said
         amount    how many ids of entries follow, 1 to 500

Returns  {batches, next_due_ms, more, missing}
         batches      flat: "<group> <place> <attempt> <amount> <width>", and for each of so many entries: id,
                      header, body, and if the width is 4 "<expires_ms or nothing> <channel, if it was
                      revived>". A place that begins with e: what happened, with what lib/event writes
                      for a body; ebus.gap: some of that was missed
         next_due_ms  from now until something that is held is given out again, -1 when nothing is
         more         1 when there may be more for this reader right now
         missing      groups that do not exist

An acknowledgement counts once for each group and entry, also when it comes late and another reader
has been given the entry; giving back and burying are for who holds it, by that delivery. Critical messages come first,
then those that are due again, then normal, then low ones; places of a lane by turns.
]]
-- not deny-oom, so first: what is acknowledged makes room
redis.call('PERSIST', KEYS[1] .. 'bus:readers')
--- @include lib/clock
--- @include lib/topic
--- @include lib/channel
--- @include lib/group
--- @include lib/settled
local REMEMBERED_MS, WANT_MAX, NOBODY = 60000, 500, '-'
local reader, left = ARGV[1], tonumber(ARGV[3])
local batches, took = {}, { ARGV[2] }

local function are_plain(entries)
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    if #fields ~= 4 or fields[1] ~= 'h' or fields[3] ~= 'b' then return false end
  end
  return true
end

local function parts_of(fields)
  local header, body, ends, channel = '', '', '', ''
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    if name == 'h' then header = value
    elseif name == 'b' or name == 'e' then body = value
    elseif name == 'x' then ends = value
    elseif name == 'c' then channel = value end
  end
  return header, body, ends .. ' ' .. channel
end

-- One flat list: Redis sends each nested one in a packet of its own.
local function give(group, place, attempt, entries)
  local at, plain = #batches + 1, are_plain(entries)
  local width = plain and 3 or 4
  batches[at] = group .. ' ' .. place .. ' ' .. attempt .. ' ' .. #entries .. ' ' .. width
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    batches[at + 1] = entry[1]
    if plain then
      batches[at + 2], batches[at + 3] = fields[2], fields[4]
    else
      batches[at + 2], batches[at + 3], batches[at + 4] = parts_of(fields)
    end
    at = at + width
  end
end

-- What this very call has given already, as far as the reader still holds it; or nil.
local function given_before()
  local text = redis.call('GET', KEYS[1] .. 'bus:took:' .. reader)
  if not text or string.match(text, '^[^\n]+') ~= ARGV[2] then return false end
  for group, place, first, last in string.gmatch(text, '\n([^ ]+) ([^ ]+) ([^ ]+) ([^\n]+)') do
    for _, seen in ipairs(redis.call('XPENDING', key_of(place), group, first, last, WANT_MAX, reader)) do
      local entry = redis.call('XRANGE', key_of(place), seen[1], seen[1])[1]
      if entry then give(group, place, seen[4], { entry }) end
    end
  end
  return true
end

-- Given entries are held from now on, and remembered for a call that is repeated: by the first and the last
-- of them, for nothing else that the reader holds lies between.
local function keep(group, settings, place, entries)
  local MANY, LONG = 24, string.rep('-', 65)
  local args, prefix, moment = {}, place .. ' ', string.format('%.0f', now + settings.visibility)
  for i, entry in ipairs(entries) do args[2 * i - 1], args[2 * i] = moment, prefix .. entry[1] end
  local held = KEYS[1] .. 'bus:held:' .. group
  if #entries < MANY then
    redis.call('ZADD', held, unpack(args))
  else -- a small set is a list, and a new member is compared with all of it: a long one ends that
    redis.call('ZADD', held, moment, LONG, unpack(args))
    redis.call('ZREM', held, LONG)
  end
  took[#took + 1] = group .. ' ' .. prefix .. entries[1][1] .. ' ' .. entries[#entries][1]
  left = left - #entries
end

local function is_over(fields)
  for i = 5, #fields, 2 do
    if fields[i] == 'x' then return now > (tonumber(fields[i + 1]) or 0) end
  end
  return false
end

-- Those of some new entries that have not expired; the others are buried.
local function fresh_of(group, place, entries)
  local over, fresh = {}, {}
  for _, entry in ipairs(entries) do
    if #entry[2] > 4 and is_over(entry[2]) then over[#over + 1] = entry end
  end
  if #over == 0 then return entries end
  for _, entry in ipairs(entries) do
    if not is_over(entry[2]) then fresh[#fresh + 1] = entry end
  end
  for _, entry in ipairs(over) do bury_held(group, place, entry[1], 0, 'expired', entry[2]) end
  return fresh
end

-- Whether a turn of a session is for a group: see lib/session.
local function is_meant(group, fields)
  local name, hears, speaker = string.sub(group, 2), '*', ''
  for i = 5, #fields, 2 do
    if fields[i] == 't' then hears = fields[i + 1] elseif fields[i] == 'f' then speaker = fields[i + 1] end
  end
  return speaker ~= name and (hears == '*' or string.find(hears, ' ' .. name .. ' ', 1, true) ~= nil)
end

-- The next turn of a session that a group is to hear; those it is not to hear are passed over.
local function next_turn(group, key)
  while true do
    local read = redis.pcall('XREADGROUP', 'GROUP', group, reader, 'COUNT', 1, 'STREAMS', key, '>')
    local entry = read and not read.err and read[1] and read[1][2][1]
    if not entry then return {} end
    if is_meant(group, entry[2]) then return { entry } end
    redis.call('XACK', key, group, entry[1])
  end
end

-- Reads what is new at a place; gives how much there was.
local function read_place(group, settings, place, amount)
  local key, heads = KEYS[1] .. 'bus:s:' .. place, KEYS[1] .. 'bus:heads:' .. group
  local talk = is_session(place)
  if settings.ordered or talk then
    amount = 1
    local pending = redis.pcall('XPENDING', key, group)
    if pending.err or pending[1] > 0 then
      redis.call('ZREM', heads, place) -- its release announces the place again
      return 0
    end
  end
  local entries
  if talk then
    entries = next_turn(group, key)
  else
    local read = redis.pcall('XREADGROUP', 'GROUP', group, reader, 'COUNT', amount, 'STREAMS', key, '>')
    entries = read and not read.err and read[1] and read[1][2] or {}
  end
  if #entries < amount then
    redis.call('ZREM', heads, place)
  else
    redis.call('ZADD', heads, 'XX', head_rank(place), place)
  end
  local fresh = fresh_of(group, place, entries)
  if #fresh > 0 then
    keep(group, settings, place, fresh)
    give(group, place, 1, fresh)
    figure(group, 'taken', #fresh)
  end
  return #entries
end

-- Reads heads up to a lane, places by turns.
local function read_heads(group, settings, lane_end)
  local PAGE, TURN = 8, 32
  while left > 0 do
    local places = redis.call('ZRANGEBYSCORE', KEYS[1] .. 'bus:heads:' .. group, '-inf', lane_end, 'LIMIT', 0, PAGE)
    if #places == 0 then return end
    for _, place in ipairs(places) do
      if left > 0 then read_place(group, settings, place, #places > 1 and math.min(left, TURN) or left) end
    end
  end
end

-- What was given back, or not acknowledged in time, is given out again, or buried.
local function give_again(group, settings, member)
  local place, id = string.match(member, '^([^ ]+) (.+)$')
  local key = key_of(place)
  local pending = redis.pcall('XPENDING', key, group, id, id, 1)
  local seen = not pending.err and pending[1]
  if not seen then
    redis.call('ZREM', KEYS[1] .. 'bus:held:' .. group, member)
    return
  end
  if seen[4] >= settings.deliveries then
    return bury_held(group, place, id, seen[4], 'too many deliveries')
  end
  local entry = redis.call('XCLAIM', key, group, reader, 0, id)[1]
  if not entry or not entry[2] then
    redis.call('XACK', key, group, id)
    return release(group, place, { id }, '0')
  end
  if is_over(entry[2]) then return bury_held(group, place, id, seen[4], 'expired', entry[2]) end
  keep(group, settings, place, { entry })
  give(group, place, seen[4] + 1, { entry })
  figure(group, 'again', 1)
end

-- A call buries so many pages at most; the rest is due in the next.
local function read_due(group, settings)
  local PAGES_MAX, moment = 8, string.format('%.0f', now)
  for _ = 1, PAGES_MAX do
    if left <= 0 then return end
    local due = redis.call('ZRANGEBYSCORE', KEYS[1] .. 'bus:held:' .. group, '-inf', moment, 'LIMIT', 0, left)
    for _, member in ipairs(due) do give_again(group, settings, member) end
    if #due == 0 then return end
  end
end

local function the_happenings()
--- @include lib/happened
  return read_events
end

-- What a reader of this name held is due at once: it comes back after a crash.
local function come_back(group)
  local held, places = KEYS[1] .. 'bus:held:' .. group, {}
  redis.call('HSET', KEYS[1] .. 'bus:consumers:' .. group, reader, string.format('%.0f', now))
  for _, member in ipairs(redis.call('ZRANGE', held, 0, -1)) do
    places[string.match(member, '^[^ ]+')] = true
  end
  for place in pairs(places) do
    local pending = redis.pcall('XPENDING', key_of(place), group, '-', '+', 1000, reader)
    for _, seen in ipairs(pending.err and {} or pending) do
      redis.call('ZADD', held, 'XX', '0', place .. ' ' .. seen[1])
    end
  end
end

-- Those of some entries that the group holds still: each once, with its number.
local function held_of(group, place, ids, numbers)
  local members, held_ids, held_numbers, seen = {}, {}, {}, {}
  for i, id in ipairs(ids) do members[i] = place .. ' ' .. id end
  local held, number_of = redis.call('ZMSCORE', KEYS[1] .. 'bus:held:' .. group, unpack(members)), numbers_in(numbers)
  for i, id in ipairs(ids) do
    if held[i] and not seen[id] then
      seen[id] = true
      held_ids[#held_ids + 1], held_numbers[#held_numbers + 1] = id, number_of[i] or 0
    end
  end
  return held_ids, held_numbers
end

-- Acknowledges entries of a place. Nearly always all of them waited for that; Redis says so by their number.
local function acknowledge(group, place, ids, sizes, total)
  local acked = redis.pcall('XACK', key_of(place), group, unpack(ids))
  if acked ~= #ids then
    local held, held_sizes = held_of(group, place, ids, sizes)
    if #held == 0 then return end
    ids, sizes, total = held, table.concat(held_sizes, ' '), nil
  end
  release(group, place, ids, sizes, total)
  figure(group, 'handled', #ids)
end

-- Gives back, or buries, what is this reader's own. A reader that was given again what it still handles has
-- both: what becomes of the earlier delivery says nothing about the later one.
local function return_own(verdict, group, place, how, id, attempt)
  local delay, reason = string.match(how, '^(%d+) (.*)$')
  local pending = redis.pcall('XPENDING', key_of(place), group, id, id, 1)
  local seen = not pending.err and pending[1]
  local settings = settings_of(group)
  if not seen or seen[2] ~= reader or seen[4] ~= attempt or not settings then return end
  local key, member, moment = key_of(place), place .. ' ' .. id, string.format('%.0f', now + delay)
  if verdict == 'r' then
    redis.call('XCLAIM', key, group, NOBODY, 0, id, 'RETRYCOUNT', seen[4] - 1, 'JUSTID')
    redis.call('ZADD', KEYS[1] .. 'bus:held:' .. group, moment, member)
    return leave_marks(group, 1)
  end
  if verdict == 'd' then return bury_held(group, place, id, seen[4], reason ~= '' and reason or 'rejected') end
  figure(group, 'nacked', 1)
  if seen[4] >= settings.deliveries then
    return bury_held(group, place, id, seen[4], reason ~= '' and reason or 'too many deliveries')
  end
  redis.call('XCLAIM', key, group, NOBODY, 0, id, 'JUSTID')
  redis.call('ZADD', KEYS[1] .. 'bus:held:' .. group, moment, member)
end

local function settle_all()
  local at = 6
  while at <= #ARGV do
    local verdict, group, place, how, numbers = unpack(ARGV, at, at + 4)
    local last = at + 5 + tonumber(ARGV[at + 5])
    local ids = { unpack(ARGV, at + 6, last) }
    if verdict == 'a' then
      acknowledge(group, place, ids, numbers, how)
    else
      local held, attempts = held_of(group, place, ids, numbers)
      for i, id in ipairs(held) do return_own(verdict, group, place, how, id, attempts[i]) end
    end
    at = last + 1
  end
end

-- Most groups of a reader with many have nothing: two commands see that.
local function look_at(group)
  group.stale = false
  group.head = redis.call('ZRANGE', KEYS[1] .. 'bus:heads:' .. group.name, 0, 0)[1]
  group.due = tonumber(redis.call('ZRANGE', KEYS[1] .. 'bus:held:' .. group.name, 0, 0, 'WITHSCORES')[2])
end

local function take_all(groups)
  for _, each in ipairs(groups) do
    look_at(each)
    if left > 0 and each.head and string.sub(each.head, 1, 1) == 'c' then
      read_heads(each.name, each.settings, LANE_RANK.n - 1)
      each.stale = true
    end
  end
  for _, each in ipairs(groups) do
    if left > 0 and each.due and each.due <= now then
      read_due(each.name, each.settings)
      each.stale = true
    end
  end
  for _, each in ipairs(groups) do
    if left > 0 and (each.head or each.stale) then
      read_heads(each.name, each.settings, '+inf')
      each.stale = true
    end
    if left > 0 and each.settings.tells then
      the_happenings()(each.name, each.settings)
      each.stale = true
    end
  end
end

-- Whoever leaves something behind wakes another; and when something held is due.
local function look_ahead(groups)
  local more, due = 0, nil
  for _, each in ipairs(groups) do
    if each.stale ~= false then look_at(each) end
    if left <= 0 and each.head then
      leave_marks(each.name, 1)
      more = 1
    end
    if each.due and (not due or each.due < due) then due = each.due end
  end
  return due and math.max(0, math.floor(due - now)) or -1, more
end

local groups, missing = {}, {}
for name in string.gmatch(ARGV[5], '[^ ]+') do
  local settings = settings_of(name)
  if settings then groups[#groups + 1] = { name = name, settings = settings, stale = true } else missing[#missing + 1] = name end
end
if not given_before() then
  settle_all()
  local new = redis.call('ZADD', KEYS[1] .. 'bus:readers', string.format('%.0f', now), reader)
  if new == 1 or ARGV[4] == '1' then
    for _, each in ipairs(groups) do come_back(each.name) end
  end
  take_all(groups)
  if #took > 1 then
    redis.call('SET', KEYS[1] .. 'bus:took:' .. reader, table.concat(took, '\n'), 'PX', REMEMBERED_MS)
  end
  write_channels()
  write_figures()
end
local due, more = look_ahead(groups)
return { batches, due, more, missing }
