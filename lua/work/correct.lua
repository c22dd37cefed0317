--[[
work/correct: set the counters of a queue that was counted in pages, if it has stood still meanwhile.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  epoch     the leader's; "" for who does not lead
ARGV[2]  mode      repair | look, as in work/repair
ARGV[3]  queue     its name
ARGV[4]  token     what work/tally gave with every page
ARGV[5]  ready     tasks
ARGV[6]  scheduled tasks
ARGV[7]  running   tasks
ARGV[8]  bytes     of ready and scheduled tasks

Returns  {still, {queue, wrong, ...}}  still: 0 when the queue has moved on, and nothing was changed
]]
--- @include lib/clock
--- @include lib/epoch
--- @include lib/record
--- @include lib/event
--- @include lib/queue
--- @include lib/line
--- @include lib/ready
--- @include lib/mend
--- @include lib/tally
--- @include lib/mend_counters
local refused = deposed(ARGV[1])
if refused then return refused end
redis.call('PERSIST', KEYS[1] .. 'lease')
local token = token_of(ARGV[3])
if token ~= ARGV[4] then return { 0, {} } end
correct(ARGV[3], {
  ready = tonumber(ARGV[5]), scheduled = tonumber(ARGV[6]), running = tonumber(ARGV[7]), bytes = tonumber(ARGV[8]),
})
return { 1, findings }
