--[[
topology/set: the topology of the agents is changed, if it is still what the caller saw; shard 0 only.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's; "" for an operator
ARGV[2]  nonce     new for every call, the same when a call is repeated after a lost reply
ARGV[3]  expect    the version that must be set now, 0 for none; "" for whatever is
ARGV[4]  text      the topology, JSON; "" takes it away
ARGV[5]  who       who says so, on one line
ARGV[6]  why       words on one line
ARGV[7]  shown     the topology in a few words, for the event

Returns  {done, version}
         done      1 it is set, by this call or already; 0 another version is set
         version   the one that is set now

HASH topology holds v, at (ms), who, why and text; LIST topology:past the last 32 versions, newest
first, each "<v> <at> <who>", why and text on three lines. The version only grows, also when a topology
is taken away, so that whoever holds an old one notices.
]]
--- @include lib/clock
--- @include lib/epoch
--- @include lib/event
--- @include lib/tell
local HISTORY_MAX, REMEMBERED_MS = 32, 60000
local key, past, told = KEYS[1] .. 'topology', KEYS[1] .. 'topology:past', KEYS[1] .. 'told:' .. ARGV[2]
-- not deny-oom, so first: an operator is heard when Redis is full
redis.call('PERSIST', key)
local refused = deposed(ARGV[1])
if refused then return refused end
local before = redis.call('GET', told)
if before then return { 1, tonumber(before) } end

local version = tonumber(redis.call('HGET', key, 'v') or '0') or 0
if ARGV[3] ~= '' and tonumber(ARGV[3]) ~= version then return { 0, version } end
if (redis.call('HGET', key, 'text') or '') == ARGV[4] then return { 1, version } end

version = version + 1
local at = string.format('%.0f', now)
redis.call('HSET', key, 'v', version, 'at', at, 'who', ARGV[5], 'why', ARGV[6], 'text', ARGV[4])
redis.call('LPUSH', past, version .. ' ' .. at .. ' ' .. ARGV[5] .. '\n' .. ARGV[6] .. '\n' .. ARGV[4])
redis.call('LTRIM', past, 0, HISTORY_MAX - 1)
redis.call('SET', told, version, 'PX', REMEMBERED_MS)
local why = ARGV[6] ~= '' and ': ' .. ARGV[6] or ''
tell(ARGV[1] ~= '' and ARGV[1] or '0', 'arranged', 'topology',
  'version ' .. version .. ', ' .. ARGV[7] .. ', by ' .. ARGV[5] .. why)
return { 1, version }
