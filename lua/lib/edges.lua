--[[
lib/edges: what the end of a task means to one that waits for it; decided here, carried out by lib/flow.

An edge is <child id><on><policy>[<n>][!]
  on      the end of the parent after which it counts: s success, f failure, a always
  policy  of a success edge whose parent failed or was cancelled: f the child fails as well, s it is
          skipped, c it goes on as if, i the parent does not count. Of any other edge: i is an onlooker,
          who deals with no failure; w it is suspended until then, see lib/wait
  n       missing when the child has no other edge; else the edge is counted in need:<child>, and n is
          the number of its condition there, field c<n>, or 0 when it has none
  !       the child need not wait for all its edges

HASH need:<child>  of (edges in all), left (not counted yet), neutral, lost, skip, ignored (so many of
those counted; the rest are met), want, early, c1, c2, ...; early is 2 when those that the child does not wait
for any more are cancelled, see lib/promote: rivals are their ids in a row, called how many have been

A parent ends as s succeeded, f failed, u unmet (ended because a parent of its own failed), c cancelled,
or o left out (skipped).
]]
local BY_POLICY = { f = 'lost', s = 'skip', c = 'met', i = 'ignored' }

-- met | neutral | lost | skip | ignored; a condition may yet make a met one neutral.
local function effect_of(ended, on, policy)
  if on == 'a' then return 'met' end
  if ended == 's' then return on == 's' and 'met' or 'neutral' end
  if ended == 'o' then return 'neutral' end
  if on == 'f' then return ended == 'c' and 'neutral' or 'met' end
  return BY_POLICY[policy] or 'lost'
end

-- go | unmet | skipped, or nil: not decided yet. need: numbers. What is decided before all edges have
-- been counted is what would be decided then, whatever the order they are counted in; but for `early`.
local function decision_of(need)
  local want = math.max(need.want, 1)
  local met = need.of - need.left - need.neutral - need.lost - need.skip - need.ignored
  if need.lost > 0 then return 'unmet' end
  if need.early and met >= want then return 'go' end
  local short = met + (need.left > 0 and need.left or 0) < want
  if short and need.ignored > 0 then return 'unmet' end
  if need.left > 0 then return nil end
  if short or need.skip > 0 then return 'skipped' end
  return 'go'
end

local NUMBERS = { 'of', 'left', 'neutral', 'lost', 'skip', 'ignored', 'want' }

local function read_need(child)
  local values = redis.call('HMGET', KEYS[1] .. 'need:' .. child, 'of', 'left', 'neutral', 'lost', 'skip',
    'ignored', 'want', 'early')
  if not values[1] then return nil end
  local need = { early = values[8] }
  for i, name in ipairs(NUMBERS) do need[name] = tonumber(values[i] or 0) or 0 end
  return need
end

-- How the task of a record has ended, in the letters above.
local function ending_of(task)
  if task.state ~= 'c' then return task.state end
  if string.find(task.flags, 'o', 1, true) then return 'o' end
  return string.find(task.flags, 'u', 1, true) and 'u' or 'c'
end
