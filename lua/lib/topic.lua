--[[
lib/topic: whether a topic is one of those that a pattern asks for.

`*` stands for one word, `**` at the end for any number of words, also for none. coordq/bus/topic.py
says the same; the two are tested against each other.
]]
local function topic_matches(pattern, topic)
  local rest = topic
  for word, dot in string.gmatch(pattern, '([^.]+)(%.?)') do
    if word == '**' and dot == '' then return true end
    local first, more = string.match(rest, '^([^.]+)%.?(.*)$')
    if not first or (word ~= '*' and word ~= first) then return false end
    rest = more
  end
  return rest == ''
end
