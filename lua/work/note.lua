--[[
work/note: put an event on the stream that no task transition writes: a stalled worker, say.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  subject   who it is about: a worker's name, a task id
ARGV[2]  text      "<event> <version> <fence> <queue> <name> <detail>", '-' and 0 where there is none

Returns  the entry's stream id
]]
return redis.call('XADD', KEYS[1] .. 'events', 'MAXLEN', '~', 4096, '*', ARGV[1], ARGV[2])
