--[[
flow/tally: how many tasks of a page of a flow have not ended; for flows that are too large to be counted at once.

KEYS[1]  root      prefix of every key of the shard

ARGV[1]  flow      its id
ARGV[2]  from      "0", then what the page before gave

Returns  {token, from, open}
         token   what has happened to the flow so far: pages of different tokens do not add up; "" when there
                 is nothing to count, because it does not run, or is being retried
         from    of the next page, "" after the last
         open    how many

What the sum should be set to, work/repair is told: suspect "left".
]]
--- @include lib/record
--- @include lib/open
local PAGE = 2000
local flow, from = ARGV[1], tonumber(ARGV[2])
local token = open_token(flow)
if token == '' then return { '', '', 0 } end
local more = from + PAGE < redis.call('LLEN', KEYS[1] .. 'flow:' .. flow .. ':ids')
return { token, more and string.format('%.0f', from + PAGE) or '', open_among(flow, from, from + PAGE - 1) }
