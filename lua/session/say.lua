--[[
session/say: somebody who takes part says something: the next turn of a session.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  session   its id
ARGV[2]  nonce     new for each turn; the same when it is said again after a lost reply, or a crash
ARGV[3]  speaker   their name
ARGV[4]  to        "" for all others, or " <name> <name> "
ARGV[5]  expects   the turn that must be the last one so far; -1 for any
ARGV[6]  message   its id
ARGV[7]  asker     "" | whose question it answers: as in bus/reply; then nobody hears it as a turn
ARGV[8]  ask       id of the question
ARGV[9]  header    as of any message
ARGV[10] body      JSON

Returns  {verdict, detail, message}
         "ok", its turn, and the id it has (of the first time, if it was said before) |
         "unknown" | "closed", why | "stranger": the speaker takes no part | "absent", who of `to` does not |
         "conflict", the last turn | "not-yours", whose turn it is | "full", "turns" or "bytes"
]]
--- @include lib/clock
--- @include lib/group
--- @include lib/session
local speaker, to, asker = ARGV[3], ARGV[4], ARGV[7]
local said_key = KEYS[1] .. 'bus:said:' .. ARGV[1]
local before = redis.call('HGET', said_key, ARGV[2])
if before then
  local turn, message = string.match(before, '^(%d+) (.*)$')
  return { 'ok', turn, message }
end
local session = session_of(ARGV[1])

local function refusal()
  if not session then return 'unknown', '' end
  if session.state ~= 'open' then return 'closed', session.why end
  if session['until'] > 0 and now >= session['until'] then return 'closed', 'deadline' end
  if not takes_part(session.id, speaker) then return 'stranger', '' end
  for name in string.gmatch(to, '[^ ]+') do
    if not takes_part(session.id, name) then return 'absent', name end
  end
  local expected = tonumber(ARGV[5])
  if expected >= 0 and expected ~= session.turn then return 'conflict', tostring(session.turn) end
  if asker == '' and to == '' and session.order == 'round' and session.next ~= speaker then return 'not-yours', session.next end
  if session.turn >= session.turns then return 'full', 'turns' end
  if session.bytes + #ARGV[9] + #ARGV[10] > session.most then return 'full', 'bytes' end
end

local function answer()
  local REPLIES_MS, key = 60000, KEYS[1] .. 'bus:replies:' .. asker
  redis.call('XADD', key, '*', 'a', ARGV[8], 'n', session.turn, 'w', 'last', 'f', speaker, 'b', ARGV[10])
  redis.call('PEXPIRE', key, REPLIES_MS)
end

local verdict, detail = refusal()
if verdict then return { verdict, detail, '' } end
add_turn(session, speaker, asker ~= '' and '-' or to == '' and '*' or to, ARGV[9], ARGV[10])
redis.call('HSET', said_key, ARGV[2], session.turn .. ' ' .. ARGV[6])
if asker ~= '' then answer() elseif to == '' then pass_turn(session, speaker) end
return { 'ok', tostring(session.turn), ARGV[6] }
