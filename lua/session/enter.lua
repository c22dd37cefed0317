--[[
session/enter: somebody comes into a session, is invited to it, or leaves it.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  session   its id
ARGV[2]  verb      j comes | i is invited | l leaves
ARGV[3]  name      who
ARGV[4]  role      as what; "" for none
ARGV[5]  from      j: 1 to hear all that was said before, 0 to hear what is said from now on

Returns  {verdict, detail}
         "ok", detail the number of the last turn | "unknown" there is no such session | "closed", detail why |
         "nobody": who comes reads no mailbox | "busy": they take part in a thousand already |
         "crowded": there is no room for one more | "stranger": who leaves takes no part

The others hear of it as turns of kind joined and left. When the last one has left it is closed.
]]
--- @include lib/clock
--- @include lib/group
--- @include lib/session
local verb, name, role = ARGV[2], ARGV[3], ARGV[4]
local session = session_of(ARGV[1])
if not session then return { 'unknown', '' } end
local who_key = KEYS[1] .. 'bus:who:' .. session.id
local is = string.sub(redis.call('HGET', who_key, name) or '-', 1, 1)
if verb == 'l' and is == 'l' or verb == 'j' and is == 'j' or verb == 'i' and (is == 'i' or is == 'j') then
  return { 'ok', tostring(session.turn) }
end
if session.state ~= 'open' then return { 'closed', session.why } end

local function leave()
  if is ~= 'j' and is ~= 'i' then return 'stranger' end
  pass_turn(session, name)
  note_person(session, name, 'l', role)
  if is == 'j' then
    unbind(session.id, name)
    tell_all(session, 'left', { name = name }, name)
    if #people_of(session.id, 'j') == 0 then close_session(session, 'empty') end
  end
  return 'ok'
end

local function come()
  if is ~= 'i' and #people_of(session.id, 'j') + #people_of(session.id, 'i') >= session.people then return 'crowded' end
  if verb == 'i' then
    note_person(session, name, 'i', role)
    note_moved(session)
    return 'ok'
  end
  if role == '' and is == 'i' then role = string.match(redis.call('HGET', who_key, name), '^%l %d+ %d+ (.*)$') end
  local hindered = hindrance(name)
  if hindered then return hindered end
  let_in(session, name, role, ARGV[5] == '1' and 0 or session.turn)
  if session.next == '' then redis.call('HSET', KEYS[1] .. 'bus:session:' .. session.id, 'next', name) end
  tell_all(session, 'joined', { name = name, role = role }, name)
  return 'ok'
end

local verdict = verb == 'l' and leave() or verb ~= 'l' and come()
return { verdict, tostring(session.turn) }
