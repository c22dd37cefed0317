--[[
flow/look: the account of a flow, and word of its end for who wants it.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  flow      its id
ARGV[2]  mailbox   "" to look only; else a LIST mailbox:<name> that the caller reads with BLPOP: it gets
                   a letter "<id>\n<JSON: id, name, state>" when the flow ends

Returns  {field, value, ...}  see lib/account; empty when there is no such flow
]]
--- @include lib/account
local MAILBOXES_MAX = 16
local mailbox = ARGV[2]
local key = KEYS[1] .. 'flow:' .. ARGV[1]
local fields = redis.call('HMGET', key, 'state', 'mailbox')
local open = string.find(' building running retrying ', ' ' .. (fields[1] or '-') .. ' ', 1, true)
local known = ',' .. (fields[2] or '') .. ','
local _, amount = string.gsub(known, ',', ',')
if mailbox ~= '' and open and not string.find(known, ',' .. mailbox .. ',', 1, true) and amount <= MAILBOXES_MAX then
  -- not deny-oom, so first: an end can be waited for when Redis is full
  redis.call('PERSIST', key)
  redis.call('HSET', key, 'mailbox', (fields[2] or '') == '' and mailbox or fields[2] .. ',' .. mailbox)
end
return account_of(ARGV[1])
