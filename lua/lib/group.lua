--[[
lib/group: groups of readers, what each has to read, and what each holds.

HASH bus:groups: group -> "<visibility_ms> <deliveries> <ordered> <ephemeral> <abandon_ms> <tells>[ <pattern>...]"
ZSET bus:heads:<group>: places where it may have something to read; rank: the lane, then whose turn it is
ZSET bus:held:<group>: `<place> <entry>` -> when it is given out again, in milliseconds: what readers hold,
  until when, and what was given back. The native list of pending entries says who holds each and how
  often it was given out.
ZSET bus:marker:<group>: what its idle readers block on; a mark wakes one
HASH bus:g:<group>: figures: taken, handled, again, nacked, dead, dropped
]]
local LANE_RANK = { c = 0, n = 2251799813685248, l = 4503599627370496 }
local group_settings, figures = {}, {}

local function read_settings(text)
  local visibility, deliveries, ordered, ephemeral, abandon, tells, patterns =
    string.match(text, '^(%d+) (%d+) (%d) (%d) (%d+) (%d)(.*)$')
  if not visibility then return nil end
  return { visibility = tonumber(visibility), deliveries = tonumber(deliveries), ordered = ordered == '1',
    ephemeral = ephemeral == '1', abandon = tonumber(abandon), tells = tells == '1', patterns = patterns }
end

-- What a group is promised; nil when there is none of that name, or it is a stranger's.
local function settings_of(group)
  local settings = group_settings[group]
  if settings == nil then
    local text = redis.call('HGET', KEYS[1] .. 'bus:groups', group)
    settings = text and read_settings(text) or false
    group_settings[group] = settings
  end
  return settings or nil
end

local function head_rank(place)
  return string.format('%.0f', LANE_RANK[string.sub(place, 1, 1)] + now_us)
end

local function leave_marks(group, amount)
  local MARKS_MAX, marks = 8, {}
  for i = 1, math.min(amount, MARKS_MAX) do marks[2 * i - 1], marks[2 * i] = '0', i end
  redis.call('ZADD', KEYS[1] .. 'bus:marker:' .. group, unpack(marks))
end

-- A place has something for a group; whoever waits is woken unless somebody is on the way there.
local function announce(group, place, amount)
  if redis.call('ZADD', KEYS[1] .. 'bus:heads:' .. group, 'NX', head_rank(place), place) == 1 then
    leave_marks(group, amount)
  end
end

local function figure(group, field, by)
  local counts = figures[group]
  if not counts then
    counts = {}
    figures[group] = counts
  end
  counts[field] = (counts[field] or 0) + by
end

local function write_figures()
  for group, counts in pairs(figures) do
    for field, by in pairs(counts) do redis.pcall('HINCRBY', KEYS[1] .. 'bus:g:' .. group, field, by) end
  end
end
