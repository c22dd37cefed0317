--[[
lib/clock: what time it is, by Redis.

Gives `now` (milliseconds) and `now_us` (microseconds) since 1970. No client's clock ever decides
when a lease ends or a delayed task is due.
]]
local TIME = redis.call('TIME')
local now_us = tonumber(TIME[1]) * 1000000 + tonumber(TIME[2])
local now = math.floor(now_us / 1000)
