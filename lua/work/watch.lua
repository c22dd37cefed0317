--[[
work/watch: be told when a task ends.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  mailbox   "" to look only; else a LIST mailbox:<name> that the caller reads with BLPOP
ARGV[2...]         ids, at most 500

Returns  {record, ...}  per id: the record when the task has ended, "" when it goes on (the mailbox
         will get "<id>\n<record>" when it ends), false when there is no such task
]]
--- @include lib/record
local MAILBOXES_MAX = 16
local mailbox = ARGV[1]
local reply = {}
for i = 2, #ARGV do
  local key = KEYS[1] .. 't:' .. ARGV[i]
  local text = redis.call('GET', key)
  local task = text and read_record(text)
  if not task or string.find('sfc', task.state, 1, true) then
    reply[i - 1] = text
  else
    reply[i - 1] = ''
    local known = ',' .. task.mailbox .. ','
    local _, amount = string.gsub(known, ',', ',')
    if mailbox ~= '' and not string.find(known, ',' .. mailbox .. ',', 1, true) and amount <= MAILBOXES_MAX then
      task.mailbox = task.mailbox == '-' and mailbox or task.mailbox .. ',' .. mailbox
      -- not deny-oom, so first: results can be waited for when Redis is full
      redis.call('PERSIST', key)
      redis.call('SET', key, write_record(task))
    end
  end
end
return reply
