--[[
work/report: a running task says how far it is, and what it has to say.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  member    "id|fence": the claim; a report by any other is refused
ARGV[2]  progress  JSON, or "" for none
ARGV[3...]         log lines, oldest first, at most 200

Returns  1 accepted, 0 the claim is no longer held: nothing was changed

The log keeps the last LINES_MAX lines and, like the progress, goes a day after the last report.
]]
local LINES_MAX = 1000
local KEPT_MS = 86400000
if not redis.call('ZSCORE', KEYS[1] .. 'lease', ARGV[1]) then return 0 end
local id = string.sub(ARGV[1], 1, 22)
if ARGV[2] ~= '' then redis.call('SET', KEYS[1] .. 'progress:' .. id, ARGV[2], 'PX', KEPT_MS) end
if #ARGV > 2 then
  local key = KEYS[1] .. 'log:' .. id
  redis.call('RPUSH', key, unpack(ARGV, 3))
  redis.call('LTRIM', key, -LINES_MAX, -1)
  redis.call('PEXPIRE', key, KEPT_MS)
end
return 1
