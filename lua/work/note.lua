--[[
work/note: put an event on the stream that no task transition writes: a stalled worker, say.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  subject   who it is about, such as a worker's name
ARGV[2]  event     its kind
ARGV[3]  detail    free text of one line

Returns  the entry's stream id
]]
--- @include lib/event
return redis.call('XADD', KEYS[1] .. 'events', 'MAXLEN', '~', EVENT_ENTRIES_MAX, '*', 'e',
  ARGV[2] .. ' - - ' .. ARGV[3] .. '\n' .. ARGV[1])
