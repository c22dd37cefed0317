--[[
lib/session: conversations: who takes part, whose turn it is, and what was said.

A session is the channel ~<id>; who takes part hears it through the group of their mailbox, @<name>.
HASH bus:session:<id>
  state    open | closed; why: how it came to be closed
  about    what it is about, JSON; by: who opened it; opened, closed: when, in milliseconds
  turn     number of the last turn; bytes: fields h and b of all turns
  turns, most, people  how many turns, bytes and participants there may be
  order    free | round: what is said to all is said in turn, in the order of their coming; what is said to
           some is said at any time
  next     whose turn it is, in a round
  idle, ttl, until  in milliseconds: it is closed after so long without a turn; it is kept for so long when it
           is closed; the moment when it is closed whatever comes, 0 for none
HASH bus:who:<id>: name -> "<state> <at> <nth> <role>": j takes part, i invited, l left; at: the turn they came
  at; nth: how many had come or been invited before them
HASH bus:said:<id>: nonce -> "<turn> <message id>": what was said once is not said again
STREAM bus:s:n~<id>: the transcript, kept as long as the session. Entry <turn>-0, fields h and b as of any
  message, t who hears it: "*" all others, "-" nobody, or " <name> <name> "; f who spoke
ZSET bus:sessions: id -> when it last moved; ZSET bus:sessions:due: id -> when session/tend looks at it
ZSET bus:sessions:of:<name>: open ones that somebody takes part in
]]
local SESSION_FIELDS = { 'state', 'about', 'by', 'opened', 'closed', 'why', 'turn', 'bytes', 'turns', 'most', 'people',
  'order', 'next', 'idle', 'ttl', 'until' }

local function session_of(id)
  local read = redis.call('HMGET', KEYS[1] .. 'bus:session:' .. id, unpack(SESSION_FIELDS))
  if not read[1] then return nil end
  local session = { id = id }
  for i, field in ipairs(SESSION_FIELDS) do session[field] = read[i] or '' end
  for _, field in ipairs({ 'turn', 'bytes', 'turns', 'most', 'people', 'idle', 'ttl', 'until' }) do
    session[field] = tonumber(session[field]) or 0
  end
  return session
end

-- Those who take part, or others in a state, in the order of their coming.
local function people_of(id, state)
  local people, all = {}, redis.call('HGETALL', KEYS[1] .. 'bus:who:' .. id)
  for i = 1, #all, 2 do
    local is, nth = string.match(all[i + 1], '^(%l) %d+ (%d+) ')
    if is == state then people[#people + 1] = { name = all[i], nth = tonumber(nth) } end
  end
  table.sort(people, function(a, b) return a.nth < b.nth end)
  return people
end

local function takes_part(id, name)
  local text = redis.call('HGET', KEYS[1] .. 'bus:who:' .. id, name)
  return text and string.sub(text, 1, 1) == 'j'
end

-- Writes down how somebody stands; their place in the order stays what it was first.
local function note_person(session, name, state, role)
  local key = KEYS[1] .. 'bus:who:' .. session.id
  local nth = string.match(redis.call('HGET', key, name) or '', '^%l %d+ (%d+) ') or redis.call('HLEN', key)
  redis.call('HSET', key, name, state .. ' ' .. session.turn .. ' ' .. nth .. ' ' .. role)
end

-- When it has to be looked at next, and when it last moved.
local function note_moved(session)
  local due = now + session.idle
  if session.state == 'closed' then due = now + session.ttl
  elseif session['until'] > 0 then due = math.min(due, session['until']) end
  redis.call('ZADD', KEYS[1] .. 'bus:sessions', string.format('%.0f', now), session.id)
  redis.call('ZADD', KEYS[1] .. 'bus:sessions:due', string.format('%.0f', due), session.id)
end

-- Writes a turn, and tells those who hear it. hears: as field t.
local function add_turn(session, speaker, hears, header, body)
  local place = 'n~' .. session.id
  session.turn, session.bytes = session.turn + 1, session.bytes + #header + #body
  redis.call('XADD', KEYS[1] .. 'bus:s:' .. place, session.turn .. '-0', 'h', header, 'b', body, 't', hears, 'f', speaker)
  redis.call('HSET', KEYS[1] .. 'bus:session:' .. session.id, 'turn', session.turn, 'bytes', session.bytes)
  note_moved(session)
  if hears == '-' then return end
  for _, one in ipairs(people_of(session.id, 'j')) do
    local meant = hears == '*' or string.find(hears, ' ' .. one.name .. ' ', 1, true)
    if meant and one.name ~= speaker then announce('@' .. one.name, place, 1) end
  end
end

-- A turn that nobody has spoken: joined, left, closed.
local function tell_all(session, kind, about, speaker)
  local header = { i = session.id .. '/' .. (session.turn + 1), k = kind }
  add_turn(session, speaker or '', '*', cjson.encode(header), cjson.encode(about))
end

-- Whose turn it is after somebody's: who came next after them, and after the last the first.
local function after(session, name)
  local people = people_of(session.id, 'j')
  for i, one in ipairs(people) do
    if one.name == name then return people[i % #people + 1].name end
  end
  return people[1] and people[1].name or ''
end

local function pass_turn(session, name)
  if session.order ~= 'round' or session.next ~= name then return end
  session.next = after(session, name)
  redis.call('HSET', KEYS[1] .. 'bus:session:' .. session.id, 'next', session.next)
end

-- It is over: nothing is said any more; what was said is heard to its end.
local function close_session(session, why)
  local people = people_of(session.id, 'j')
  session.state, session.why = 'closed', why
  redis.call('HSET', KEYS[1] .. 'bus:session:' .. session.id, 'state', 'closed', 'why', why,
    'closed', string.format('%.0f', now))
  tell_all(session, 'closed', { why = why })
  for _, one in ipairs(people) do redis.call('ZREM', KEYS[1] .. 'bus:sessions:of:' .. one.name, session.id) end
end

-- Why somebody cannot take part in one more session: nobody | busy; nil when they can.
local function hindrance(name)
  local OPEN_MAX = 1000
  if redis.call('HEXISTS', KEYS[1] .. 'bus:groups', '@' .. name) == 0 then return 'nobody' end
  if redis.call('ZCARD', KEYS[1] .. 'bus:sessions:of:' .. name) >= OPEN_MAX then return 'busy' end
end

-- Somebody whom nothing hinders takes part from now on: hears what is said after turn `from`.
local function let_in(session, name, role, from)
  local group, key = '@' .. name, KEYS[1] .. 'bus:s:n~' .. session.id
  redis.pcall('XGROUP', 'DESTROY', key, group)
  redis.call('XGROUP', 'CREATE', key, group, from .. '-0', 'MKSTREAM')
  redis.call('HSET', KEYS[1] .. 'bus:on:~' .. session.id, group, '+')
  note_person(session, name, 'j', role)
  redis.call('ZADD', KEYS[1] .. 'bus:sessions:of:' .. name, string.format('%.0f', now), session.id)
  if from < session.turn then announce(group, 'n~' .. session.id, 1) end
end

-- A group does not hear the session any more, and holds nothing of it.
local function unbind(id, name)
  local group, place = '@' .. name, 'n~' .. id
  for _, seen in ipairs(redis.pcall('XPENDING', KEYS[1] .. 'bus:s:' .. place, group, '-', '+', 1000)) do
    redis.call('ZREM', KEYS[1] .. 'bus:held:' .. group, place .. ' ' .. seen[1])
  end
  redis.pcall('XGROUP', 'DESTROY', KEYS[1] .. 'bus:s:' .. place, group)
  redis.call('ZREM', KEYS[1] .. 'bus:heads:' .. group, place)
  redis.call('HDEL', KEYS[1] .. 'bus:on:~' .. id, group)
  redis.call('ZREM', KEYS[1] .. 'bus:sessions:of:' .. name, id)
end
