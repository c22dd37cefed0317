--[[
lib/place: orders become tasks. Shared by work/enqueue, work/enqueue_shedding and work/fire, whose
headers say what comes in and what goes out. `orders_at` is where on_full stands and groups follow;
`make_room` is nil in all but the shedding one.
]]
local ARGS_INLINE_MAX = 2048
local ONE_AT_ONCE = '0 0 0 b 1 q 0 0 {"concurrency":1}' -- see lib/slot
local on_full, insists = string.match(ARGV[orders_at], '^([^!]*)(!?)$')
local records, apart, room, reply
local written = false
local placed, taken = {}, {} -- ids that this call has dealt with, unique keys that it took: key -> id
local amends = {} -- newer arguments for tasks that wait
local DIGEST = 22

local function delay_of(text)
  local moment = string.match(text, '^@(%d+)$')
  return moment and math.max(0, tonumber(moment) - now) or tonumber(text)
end

local function read_groups()
  local groups, at = {}, orders_at + 1
  while at <= #ARGV do
    local group = {
      spec = ARGV[at], queue = ARGV[at + 1], line = ARGV[at + 2], delay_ms = delay_of(ARGV[at + 3]),
      expires_ms = tonumber(ARGV[at + 4]), total_ms = tonumber(ARGV[at + 5]),
      unique = string.sub(ARGV[at + 6], 1, DIGEST), mode = string.sub(ARGV[at + 6], DIGEST + 1),
      unique_ms = ARGV[at + 7], mailbox = ARGV[at + 8], amount = tonumber(ARGV[at + 9]), first = at + 10,
    }
    groups[#groups + 1] = group
    at = at + 10 + 2 * group.amount
  end
  return groups
end

-- Which of the tasks exist already, from an earlier call whose reply was lost.
local function find_existing(groups)
  local existing = {}
  for _, group in ipairs(groups) do
    for at = group.first, group.first + 2 * group.amount - 1, 2 do
      existing[ARGV[at]] = redis.call('EXISTS', KEYS[1] .. 't:' .. ARGV[at]) == 1
    end
  end
  return existing
end

-- How many more tasks and bytes a queue takes, less what this call has put there; false: no limit.
local function room_in(name)
  local left = room[name]
  if left == nil then
    local settings = settings_of(name)
    left = false
    if settings.bounded then
      local tasks, bytes = backlog_of(name)
      left = {
        tasks = settings.high > 0 and settings.high - tasks or math.huge,
        bytes = settings.max_bytes > 0 and settings.max_bytes - bytes or math.huge,
      }
    end
    room[name] = left
  end
  return left
end

-- What is done when the arguments of a newer order count; made on first use, as lib/slot is.
local made_renewals = nil

local function the_renewals()
  if made_renewals then return made_renewals end
  local renewals = {}
  made_renewals = renewals

  local function take_key(group, key, id)
    redis.call('SET', key, id)
    if group.unique_ms ~= '0' then redis.call('PEXPIRE', key, group.unique_ms) end
    taken[key] = id
  end

  -- As held_by below, for modes in which the arguments of the newer order count, as long as the holder waits.
  function renewals.held_by(group, id, args, key, holder)
    local text = taken[key] and 'q' or redis.call('MGET', KEYS[1] .. 't:' .. holder)[1]
    local state = text and string.sub(text, 1, 1)
    if state and string.find('qdw', state, 1, true) then
      amends[#amends + 1] = { holder = holder, args = args, group = group, key = key }
      return holder
    end
    if group.mode == 'r' and (state or group.unique_ms ~= '0') then return holder end
    take_key(group, key, id)
    return nil
  end

  -- A debounced task waits anew, but not for longer than its key is held.
  local function delay_again(change)
    local group = change.group
    local left_ms = redis.call('PTTL', change.key)
    local at = now + (left_ms > 0 and math.min(group.delay_ms, left_ms) or group.delay_ms)
    redis.call('ZADD', KEYS[1] .. 'due', 'XX', at, change.holder)
    if group.expires_ms > 0 then redis.call('ZADD', KEYS[1] .. 'due', 'XX', at + group.expires_ms, 'x' .. change.holder) end
  end

  -- The holder of a unique key gets the arguments of a newer order.
  function renewals.amend(change)
    local key, large = KEYS[1] .. 't:' .. change.holder, KEYS[1] .. 'p:' .. change.holder
    local life, spec, body, outcome = string.match(redis.call('GET', key) or '', '^([^\n]+)\n([^\n]+)\n([^\n]*)(.*)$')
    if not life then return end
    local state, version, rest = string.match(life, '^(%l)(%d+)(.*)$')
    local apart_now = #change.args > ARGS_INLINE_MAX
    local weighed = body == '@' and redis.call('STRLEN', large) or #body
    if apart_now then redis.call('SET', large, change.args) elseif body == '@' then redis.call('UNLINK', large) end
    life = string.format('%s%d%s', state, version + 1, rest)
    redis.call('SET', key, life .. '\n' .. spec .. '\n' .. (apart_now and '@' or change.args) .. outcome)
    local queue, name = string.match(spec, '^([^ ]+) ([^ ]+)')
    if state ~= 'w' then count(queue, 'bytes', #change.args - weighed) end
    if state == 'd' and change.group.mode == 'd' then delay_again(change) end
    event(change.holder, 'replaced', { version = version + 1, fence = '0', queue = queue, name = name })
  end

  return renewals
end

-- Returns the id that holds the unique key, or nil when this task now does.
local function held_by(group, id, args)
  local key = KEYS[1] .. 'unique:' .. group.unique
  local lasting = group.unique_ms ~= '0'
  if redis.call('SET', key, id, 'NX') then
    if lasting then redis.call('PEXPIRE', key, group.unique_ms) end
    taken[key] = id
    return nil
  end
  local holder = redis.call('GET', key)
  if holder == id then return nil end
  if group.mode ~= '' then return the_renewals().held_by(group, id, args, key, holder) end
  -- the holder of a key that this call took has no record yet
  if lasting or taken[key] or redis.call('EXISTS', KEYS[1] .. 't:' .. holder) == 1 then return holder end
  redis.call('SET', key, id)
  taken[key] = id
  return nil
end

-- Unique keys go back that were taken for `id`, or, without one, for any.
local function give_keys_back(id)
  for key, taker in pairs(taken) do
    if not id or taker == id then
      redis.call('DEL', key)
      taken[key] = nil
    end
  end
end

local function put(group, id, args, size)
  local body = args
  if #args > ARGS_INLINE_MAX then
    apart[#apart + 1] = KEYS[1] .. 'p:' .. id
    apart[#apart + 1] = args
    body = '@'
  end
  local life = (group.delay_ms > 0 and 'd1' or 'q1')
    .. (group.mailbox ~= '' and ' 0 0 0 0 - ' .. group.mailbox .. ' -' or '')
  local at = #records
  records[at + 1] = KEYS[1] .. 't:' .. id
  records[at + 2] = life .. '\n' .. group.spec .. '\n' .. body
  group.ids[#group.ids + 1] = id
  group.bytes = group.bytes + size
  placed[id] = true
end

local function place(group, id, args, existing)
  if placed[id] then return '+' end
  if existing and existing[id] then
    if group.unique ~= '' then give_keys_back(id) end
    return '+'
  end
  local size = #group.spec + 1 + #args
  local left = on_full ~= 'force' and room_in(group.queue)
  if left then
    local fits = left.tasks >= 1 and left.bytes >= size
    if not fits and not make_room then return '-' end
    if not fits and not make_room(group, id, args, left, size) then
      placed[id] = true
      return '!'
    end
    left.tasks, left.bytes = left.tasks - 1, left.bytes - size
  end
  local holder = group.unique ~= '' and held_by(group, id, args)
  if holder then
    -- this very task may have held the key once, in a call whose reply was lost, and have ended since
    return redis.call('EXISTS', KEYS[1] .. 't:' .. id) == 1 and '+' or '=' .. holder
  end
  put(group, id, args, size)
  return '+'
end

local function place_all(groups, existing)
  records, apart, room, reply, placed, amends = {}, {}, {}, { 'ok' }, {}, {}
  local full = nil
  for _, group in ipairs(groups) do
    group.ids, group.bytes = {}, 0
    for at = group.first, group.first + 2 * group.amount - 1, 2 do
      local status = place(group, ARGV[at], ARGV[at + 1], existing)
      if status == '-' then full = group.queue end
      reply[#reply + 1] = status
    end
  end
  return full
end

local function schedule(group)
  local due = {}
  local function at(ms, member)
    due[#due + 1] = now + ms
    due[#due + 1] = member
  end
  for _, id in ipairs(group.ids) do
    if group.delay_ms > 0 then at(group.delay_ms, id) end
    if group.expires_ms > 0 then at(group.delay_ms + group.expires_ms, 'x' .. id) end
    if group.total_ms > 0 then at(group.total_ms, 'y' .. id) end
  end
  redis.call('ZADD', KEYS[1] .. 'due', unpack(due))
  -- somebody must learn that the next due moment is now earlier
  local head = redis.call('ZRANGE', KEYS[1] .. 'due', 0, 0)[1]
  if group.delay_ms > 0 and string.sub(head, -22) == group.ids[1] then mark(group.queue, group.line, 1) end
end

-- A requirement that nobody has met before: all who wait at the queue look whether they can serve it.
local function learn_route(queue, route)
  if redis.call('SADD', KEYS[1] .. 'routes', queue .. ' ' .. route) == 0 then return end
  local workers = redis.call('ZCOUNT', KEYS[1] .. 'workers', now - 60000, '+inf')
  if workers > 0 then leave_marks(queue, '*', math.min(400, 8 * workers)) end
end

local function settle_in(group)
  local amount = #group.ids
  if amount == 0 then return end
  if group.mode == 'k' then redis.call('HSETNX', KEYS[1] .. 'limits', 'once', ONE_AT_ONCE) end
  local delayed = group.delay_ms > 0
  if delayed or group.expires_ms > 0 or group.total_ms > 0 then schedule(group) end
  if not delayed then stand_in_line(group.queue, group.line, group.ids) end
  count(group.queue, delayed and 'scheduled' or 'ready', amount)
  count(group.queue, 'bytes', group.bytes)
  count(group.queue, 'enqueued', amount)
  local name = string.match(group.spec, '^[^ ]+ ([^ ]+)')
  local task = { version = 1, fence = '0', queue = group.queue, name = name }
  local what = delayed and 'scheduled' or 'ready'
  for _, id in ipairs(group.ids) do event(id, what, task) end
  if string.find(group.line, '@', 1, true) then learn_route(group.queue, route_in(group.line)) end
end

local function refusal(name)
  give_keys_back()
  local settings = settings_of(name)
  local tasks, bytes = backlog_of(name)
  return { 'full', name, tasks, settings.high, bytes, settings.max_bytes }
end

local function place_checked(groups)
  local full = place_all(groups, make_room and find_existing(groups))
  -- what fills the queue may be these very tasks, put there by a call whose reply was lost
  if full then full = place_all(groups, find_existing(groups)) end
  if full and on_full == 'refuse' then return refusal(full) end
  -- one write for all, which says whether any of them exists; if so, they are told apart
  if #records > 0 and redis.call('MSETNX', unpack(records)) == 0 then
    place_all(groups, find_existing(groups))
    if #records > 0 then redis.call('MSET', unpack(records)) end
  end
  written = true
  if #apart > 0 then redis.call('MSET', unpack(apart)) end
  if full then redis.call('HSET', KEYS[1] .. 'queue:' .. full, 'wanted', now) end
  for _, group in ipairs(groups) do settle_in(group) end
  for _, change in ipairs(amends) do the_renewals().amend(change) end
  write_counts()
  write_events()
  return reply
end

-- A stranger's key was in the way half-way through: nothing of these tasks remains.
local function take_back(groups)
  give_keys_back()
  for _, group in ipairs(written and groups or {}) do
    local line = KEYS[1] .. 'line:' .. group.queue .. ':' .. group.line
    for _, id in ipairs(group.ids) do
      redis.pcall('LREM', line, -1, id)
      redis.pcall('ZREM', KEYS[1] .. 'due', id, 'x' .. id, 'y' .. id)
      redis.call('UNLINK', KEYS[1] .. 't:' .. id, KEYS[1] .. 'p:' .. id)
    end
    if redis.call('EXISTS', line) == 0 then
      redis.pcall('ZREM', KEYS[1] .. 'heads:' .. group.queue, group.line)
      redis.pcall('ZREMRANGEBYRANK', KEYS[1] .. 'marker:' .. group.queue .. ':' .. route_in(group.line), 0, -1)
    end
  end
end

local function place_groups()
  local groups = read_groups()
  local fine, answer = pcall(place_checked, groups)
  if fine then return answer end
  take_back(groups)
  error(answer, 0)
end
