--[[
flow/stuck: a flow does not get on, and why; told once.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's; "" for who does not lead
ARGV[2]  flow      its id
ARGV[3]  moved     when it moved last, as it was seen: its score in flows:open
ARGV[4]  sign      what tells this knot from others
ARGV[5]  words     for people, on one line

Returns  1 told by an event "stuck"; 0 it was told before, or the flow has moved on

The field knot of the flow is "<moved> <sign> <words>": it counts as long as the flow does not move.
]]
--- @include lib/epoch
--- @include lib/event
--- @include lib/tell
-- not deny-oom, so first: a full Redis may be what holds it up
redis.call('PERSIST', KEYS[1] .. 'lease')
local refused = deposed(ARGV[1])
if refused then return refused end
local moved = redis.call('ZSCORE', KEYS[1] .. 'flows:open', ARGV[2])
if not moved or tonumber(moved) ~= tonumber(ARGV[3]) then return 0 end
local key, knot = KEYS[1] .. 'flow:' .. ARGV[2], ARGV[3] .. ' ' .. ARGV[4] .. ' '
local known = redis.call('HGET', key, 'knot')
if known and string.sub(known, 1, #knot) == knot then return 0 end
redis.call('HSET', key, 'knot', knot .. ARGV[5])
tell(ARGV[1] ~= '' and ARGV[1] or '0', 'stuck', ARGV[2], ARGV[5])
return 1
