--[[
fleet/tell: the leader writes events, such as "suspect" or "repaired".

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's; "" for who does not lead, such as a fleet spawner
ARGV[2]  nonce     new for every call, the same when a call is repeated after a lost reply
ARGV[3...]         events, each:
         kind      one of those that exist
         subject   who or what it is about: a name without spaces and commas
         detail    words on one line

Returns  how many events were written; 0 when an earlier call with this nonce has
]]
--- @include lib/epoch
--- @include lib/event
--- @include lib/tell
local REMEMBERED_MS = 60000
-- not deny-oom, so first: what happens when Redis is full must be told as well
redis.call('PERSIST', KEYS[1] .. 'lease')
local refused = deposed(ARGV[1])
if refused then return refused end
if not redis.call('SET', KEYS[1] .. 'told:' .. ARGV[2], '1', 'NX', 'PX', REMEMBERED_MS) then return 0 end
local epoch = ARGV[1] ~= '' and ARGV[1] or '0'
for i = 3, #ARGV, 3 do tell(epoch, ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
return (#ARGV - 2) / 3
