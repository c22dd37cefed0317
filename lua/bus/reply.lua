--[[
bus/reply: somebody who asked is answered, or given a part of the answer.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  nonce     new for every call, the same when a call is repeated after a lost reply
ARGV[2]  asker     whose replies: STREAM bus:replies:<asker>
ARGV[3]  ask       id of the message that is answered
ARGV[4]  number    from 1; parts of an answer count on
ARGV[5]  how       part | last | error
ARGV[6]  sender    who answers
ARGV[7]  body      JSON

Returns  1

The asker drops what it has read; what nobody reads expires a minute after the last reply.
]]
local REMEMBERED_MS, REPLIES_MAX = 60000, 10000
if not redis.call('SET', KEYS[1] .. 'bus:sent:' .. ARGV[1], '1', 'NX', 'PX', REMEMBERED_MS) then return 1 end
local key = KEYS[1] .. 'bus:replies:' .. ARGV[2]
redis.call('XADD', key, 'MAXLEN', '~', REPLIES_MAX, '*', 'a', ARGV[3], 'n', ARGV[4], 'w', ARGV[5], 'f', ARGV[6], 'b', ARGV[7])
redis.call('PEXPIRE', key, REMEMBERED_MS)
return 1
