--[[
lib/condition: whether a condition holds for the result of a task; coordq/work/flow/condition.py is its twin.

A condition is a JSON tree in prefix form, the result any JSON; a text that is no JSON counts as null.

  ["and", x, ...] ["or", x, ...] ["not", x]
  ["==", a, b] ["!=", a, b]              by value, lists and objects as well
  ["<", a, b] ["<=", a, b] [">", a, b] [">=", a, b]
  ["in", a, b]                           element of a list, part of a text, field of an object
  ["get", step, ...]                     from the result, by field or by index (-1 is the last)
  ["has", step, ...]                     whether there is something there, be it null
  ["len", x]                             of a list, an object or a text (in characters)
  ["lit", v]                             v itself; scalars stand for themselves without it

What is missing is null, and null equals only null. Different kinds are never equal. Only numbers
(doubles) and texts (by code point) have an order, each among themselves; between others < and its like
are false. An empty list equals an empty object: cjson does not tell them apart. null, false, 0, "" and
what is empty count as false, all else as true. A tree that is none of these, is longer or deeper than
the limits, or looks at more values than LOOKS_MAX does not hold, whatever stands around its fault.

Made at the first use: a call in which no condition is asked does not pay for it.
]]
local ask_condition = nil

local function make_conditions()
  local CONDITION_MAX = 8192
  local CONDITION_DEPTH_MAX = 32
  local LOOKS_MAX = 100000
  local looks_left = 0
  local last_result, last_decoded = nil, nil

  -- long: a text that is gone through; 64 of its bytes cost as much as a value.
  local function look_at_value(long)
    looks_left = looks_left - 1 - (long and #long / 64 or 0)
    if looks_left < 0 then error('the condition looks at too much', 0) end
  end

  -- empty: a list or an object without anything in it.
  local function kind_of(value)
    if value == nil or value == cjson.null then return 'null' end
    local kind = type(value)
    if kind ~= 'table' then return kind end
    local key = next(value)
    if key == nil then return 'empty' end
    return type(key) == 'number' and 'list' or 'object'
  end

  local function same_value(a, b)
    look_at_value()
    local kind = kind_of(a)
    if kind ~= kind_of(b) then return false end
    if kind == 'null' or kind == 'empty' then return true end
    if kind ~= 'list' and kind ~= 'object' then return a == b end
    for key, value in pairs(a) do
      if b[key] == nil or not same_value(value, b[key]) then return false end
    end
    for key in pairs(b) do
      if a[key] == nil then return false end
    end
    return true
  end

  -- Lua's < on texts follows the server's locale; bytes of UTF-8 are ordered as code points are.
  local function text_before(a, b)
    look_at_value(a)
    for at = 1, math.min(#a, #b) do
      local x, y = string.byte(a, at), string.byte(b, at)
      if x ~= y then return x < y end
    end
    return #a < #b
  end

  local function before(a, b)
    if type(a) == 'number' and type(b) == 'number' then return a < b end
    return type(a) == 'string' and type(b) == 'string' and text_before(a, b)
  end

  local function at_most(a, b)
    if type(a) == 'number' and type(b) == 'number' then return a <= b end
    return type(a) == 'string' and type(b) == 'string' and not text_before(b, a)
  end

  local function counts_as_true(value)
    local kind = kind_of(value)
    if kind == 'boolean' then return value end
    if kind == 'number' then return value ~= 0 end
    if kind == 'string' then return value ~= '' end
    return kind == 'list' or kind == 'object'
  end

  local function length_of(value)
    local kind = kind_of(value)
    if kind == 'empty' then return 0 end
    if kind == 'list' then return #value end
    if kind == 'string' then
      look_at_value(value)
      local _, characters = string.gsub(value, '[^\128-\191]', '')
      return characters
    end
    if kind ~= 'object' then return nil end
    local fields = 0
    for _ in pairs(value) do
      look_at_value()
      fields = fields + 1
    end
    return fields
  end

  local function is_in(value, whole)
    local kind = kind_of(whole)
    if kind == 'string' then
      look_at_value(whole)
      return type(value) == 'string' and string.find(whole, value, 1, true) ~= nil
    end
    if kind == 'object' then return type(value) == 'string' and whole[value] ~= nil end
    if kind ~= 'list' then return false end
    for _, element in ipairs(whole) do
      if same_value(element, value) then return true end
    end
    return false
  end

  -- What stands at the end of the path that `tree` names; nil when the result has no such thing.
  local function walk(tree, result)
    local value = result
    for at = 2, #tree do
      local step, kind = tree[at], kind_of(value)
      if type(step) == 'number' and kind == 'list' then
        value = value[step < 0 and #value + 1 + step or step + 1]
      elseif type(step) == 'string' and kind == 'object' then
        value = value[step]
      else
        return nil
      end
    end
    return value
  end

  local evaluate

  local function holds_all(tree, result, depth)
    local all = true
    for at = 2, #tree do
      if not counts_as_true(evaluate(tree[at], result, depth)) then all = false end
    end
    return all
  end

  local function holds_any(tree, result, depth)
    local any = false
    for at = 2, #tree do
      if counts_as_true(evaluate(tree[at], result, depth)) then any = true end
    end
    return any
  end

  local ONE = {
    ['not'] = function(x) return not counts_as_true(x) end,
    len = length_of,
  }
  local TWO = {
    ['=='] = same_value,
    ['!='] = function(a, b) return not same_value(a, b) end,
    ['<'] = before,
    ['>'] = function(a, b) return before(b, a) end,
    ['<='] = at_most,
    ['>='] = function(a, b) return at_most(b, a) end,
    ['in'] = is_in,
  }

  function evaluate(tree, result, depth)
    look_at_value()
    if type(tree) ~= 'table' then return tree end
    if depth >= CONDITION_DEPTH_MAX then error('the condition is too deep', 0) end
    local op = tree[1]
    if op == 'and' then return holds_all(tree, result, depth + 1) end
    if op == 'or' then return holds_any(tree, result, depth + 1) end
    if op == 'get' then return walk(tree, result) end
    if op == 'has' then return walk(tree, result) ~= nil end
    if op == 'lit' and #tree == 2 then return tree[2] end
    if ONE[op] and #tree == 2 then return ONE[op](evaluate(tree[2], result, depth + 1)) end
    if TWO[op] and #tree == 3 then
      return TWO[op](evaluate(tree[2], result, depth + 1), evaluate(tree[3], result, depth + 1))
    end
    error('the condition has no such operation', 0)
  end

  -- A result is read once, however many edges ask about it.
  local function decoded(result_json)
    if result_json ~= last_result then
      local fine, value = pcall(cjson.decode, result_json)
      last_result, last_decoded = result_json, nil
      if fine then last_decoded = value end
    end
    return last_decoded
  end

  return function(tree_json, result_json)
    if #tree_json > CONDITION_MAX then return false end
    looks_left = LOOKS_MAX
    local read, tree = pcall(cjson.decode, tree_json)
    if not read then return false end
    local fine, value = pcall(evaluate, tree, decoded(result_json or 'null'), 0)
    return fine and counts_as_true(value)
  end
end

-- Never raises. result_json: nil for a task without a result.
local function holds(tree_json, result_json)
  ask_condition = ask_condition or make_conditions()
  return ask_condition(tree_json, result_json)
end
