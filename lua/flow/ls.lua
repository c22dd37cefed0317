--[[
flow/ls: the flows of the shard, newest first, a page a call.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  offset    flows to pass over
ARGV[2]  limit     flows to look at, 1 to 500

Returns  {looked_at, id, {field, value, ...}, ...}  without those that are gone; looked_at 0: the end
]]
--- @include lib/account
local first = tonumber(ARGV[1])
local ids = redis.call('ZREVRANGE', KEYS[1] .. 'flows', first, first + tonumber(ARGV[2]) - 1)
local reply = { #ids }
for _, id in ipairs(ids) do
  local fields = account_of(id)
  if #fields > 0 then
    reply[#reply + 1] = id
    reply[#reply + 1] = fields
  end
end
return reply
