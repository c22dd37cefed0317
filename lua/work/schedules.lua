--[[
work/schedules: look at schedules: one, those that are due, or all, soonest first.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  which     due | all | one
ARGV[2]  name      the one, else ""
ARGV[3]  offset    how many to leave out
ARGV[4]  limit     how many at most

Returns  {now_ms, next_ms, schedule, ...}: what time it is, when the next one comes that is not yet due
         (inf: none), and for each {name, next_ms, fields of its HASH, states}. fields is "" when the
         key holds something else; states has a letter for each of the runs that one remembers, as its
         record says now, - when that is gone; it is "" unless which is one
]]
--- @include lib/clock
--- @include lib/record
local function states_of(fields)
  local states = ''
  for i = 1, #fields, 2 do
    if fields[i] == 'runs' then
      for id in string.gmatch(fields[i + 1], '%d+ (%w+) [^\n]*') do
        local task = record_of(id)
        states = states .. (task and task.state or '-')
      end
    end
  end
  return states
end

local all, scores = KEYS[1] .. 'schedules', nil
if ARGV[1] == 'one' then
  local score = redis.call('ZSCORE', all, ARGV[2])
  scores = score and { ARGV[2], score } or {}
elseif ARGV[1] == 'due' then
  scores = redis.call('ZRANGEBYSCORE', all, '-inf', now, 'WITHSCORES', 'LIMIT', ARGV[3], ARGV[4])
else
  scores = redis.call('ZRANGE', all, ARGV[3], ARGV[3] + ARGV[4] - 1, 'WITHSCORES')
end
local coming = redis.call('ZRANGEBYSCORE', all, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local answer = { now, coming[2] or 'inf' }
for i = 1, #scores, 2 do
  local fields = redis.pcall('HGETALL', KEYS[1] .. 'schedule:' .. scores[i])
  local states = ''
  if fields.err then fields = '' elseif ARGV[1] == 'one' then states = states_of(fields) end
  answer[#answer + 1] = { scores[i], scores[i + 1], fields, states }
end
return answer
