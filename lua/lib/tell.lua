--[[
lib/tell: an event that no task's transition writes, under a leader's epoch.

Each is an entry of its own: subjects are names of any length, which lib/event would shorten. Should a
stranger's key stand where the stream should be, the event is lost and the work goes on.
]]
local function tell(epoch, kind, subject, detail)
  redis.pcall('XADD', KEYS[1] .. 'events', 'MAXLEN', '~', EVENT_ENTRIES_MAX, '*', 'e',
    kind .. ' - - ' .. detail .. '\n' .. subject .. ',1,' .. epoch)
end
