--[[
session/close: a conversation is over. What was said is heard to its end, and kept for a while.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  session   its id
ARGV[2]  why       for people

Returns  "ok", also when it was closed before | "unknown"
]]
--- @include lib/clock
--- @include lib/group
--- @include lib/session
local session = session_of(ARGV[1])
if not session then return 'unknown' end
if session.state == 'open' then close_session(session, ARGV[2]) end
return 'ok'
