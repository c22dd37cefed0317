--[[
bus/dead: dead letters, newest first.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  before    the last id of the page before, "+" to begin
ARGV[2]  limit     how many, 1 to 500

Returns  {{id, {field, value, ...}}, ...}: fields as lib/bury says
]]
local from = ARGV[1] == '+' and '+' or '(' .. ARGV[1]
return redis.call('XREVRANGE', KEYS[1] .. 'bus:dead', from, '-', 'COUNT', ARGV[2])
