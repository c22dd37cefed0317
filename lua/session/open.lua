--[[
session/open: a conversation begins, with those who take part from the start.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  session   its id
ARGV[2]  by        who opens it, "" for nobody in particular
ARGV[3]  about     what it is about: JSON
ARGV[4]  order     free | round: each speaks in turn
ARGV[5]  turns     how many there may be
ARGV[6]  most      bytes that all turns may take
ARGV[7]  people    how many may take part
ARGV[8]  idle_ms   without a turn for so long it is closed
ARGV[9]  ttl_ms    it is kept for so long when it is closed
ARGV[10] until_ms  from now: it is closed then whatever comes; 0 for no such moment
ARGV[11...]        those who take part, each: name, role ("" for none)

Returns  {verdict, name}
         "ok" | "nobody": `name` reads no mailbox | "busy": `name` takes part in a thousand already |
         "crowded": they are too many. Anything but ok leaves nothing behind.

Opening it again by the same id has no effect.
]]
--- @include lib/clock
--- @include lib/group
--- @include lib/session
local id = ARGV[1]
if redis.call('EXISTS', KEYS[1] .. 'bus:session:' .. id) == 1 then return { 'ok', '' } end
if (#ARGV - 10) / 2 > tonumber(ARGV[7]) then return { 'crowded', '' } end
for at = 11, #ARGV, 2 do
  local hindered = hindrance(ARGV[at])
  if hindered then return { hindered, ARGV[at] } end
end
local until_ms = tonumber(ARGV[10])
redis.call('HSET', KEYS[1] .. 'bus:session:' .. id, 'state', 'open', 'by', ARGV[2], 'about', ARGV[3], 'order', ARGV[4],
  'turns', ARGV[5], 'most', ARGV[6], 'people', ARGV[7], 'idle', ARGV[8], 'ttl', ARGV[9],
  'until', until_ms > 0 and string.format('%.0f', now + until_ms) or '0',
  'opened', string.format('%.0f', now), 'turn', 0, 'bytes', 0, 'next', ARGV[11] or '')
local session = session_of(id)
for at = 11, #ARGV, 2 do
  let_in(session, ARGV[at], ARGV[at + 1], 0)
end
note_moved(session)
return { 'ok', '' }
