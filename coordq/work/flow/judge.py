"""Whether a condition's tree holds for a result: the twin of lua/lib/condition.lua.

Without exception, and never with an error:

- `get` follows a path into the result: text into objects, numbers (from 0; -1 is the last) into
  lists. What is not there is null. `["get"]` is the whole result. `has`: whether something is
  there, be it null. `lit`: the value as it stands; scalars need no `lit`.
- A value counts as true unless it is null, false, 0, "" or empty. `and`, `or`, `not` and all
  comparisons give true or false.
- `==`: the same value, lists and objects by their members; different kinds are never equal, except
  that an empty list is an empty object. `!=` is its contrary.
- `<` `<=` `>` `>=`: of two numbers, or two texts by code point; false for all else.
- `in`: equal to a member of a list, part of a text, or a field of an object; else false.
- `len`: members of a list or object, characters (code points) of a text; else null.
- Numbers are doubles, as in Lua.
- A tree that is none of these, or too deep, does not hold, whatever stands around its fault.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import ge, gt, le, lt
from typing import Any, Final

from coordq.amounts import is_whole

DEPTH_MAX: Final = 32
"""Operations inside one another."""


class _Senseless(Exception):
    """A tree that spells no condition."""


def evaluate(tree: Any, result: Any) -> bool:
    """Whether the condition that `tree` spells holds for `result`, a JSON value."""
    try:
        return _truth(_value(tree, result, 0))
    except _Senseless:
        return False


def _value(tree: Any, result: Any, depth: int) -> Any:
    if isinstance(tree, dict):
        raise _Senseless
    if not isinstance(tree, list | tuple):
        return tree
    if depth >= DEPTH_MAX or not tree:
        raise _Senseless
    word, *parts = tree
    if word in ("get", "has"):
        return _get(result, parts)[word == "get"]
    if word == "lit" and len(parts) == 1:
        return parts[0]
    values = [_value(part, result, depth + 1) for part in parts]
    if word in ("and", "or"):
        return (all if word == "and" else any)(map(_truth, values))
    amount, operation = _OPERATIONS.get(word, _NONE) if isinstance(word, str) else _NONE
    if amount != len(values):
        raise _Senseless
    return operation(*values)


def _truth(value: Any) -> bool:
    return bool(value)


def _get(value: Any, path: Sequence[Any]) -> tuple[bool, Any]:
    """Whether something stands at the end of a path, and what."""
    for step in path:
        try:
            value = value[_place(value, step)]
        except (LookupError, TypeError):
            return False, None
    return True, value


def _place(value: Any, step: Any) -> Any:
    """`step` as the key or index that it is for `value`. Raises TypeError when it is neither."""
    if isinstance(value, dict) and isinstance(step, str):
        return step
    if isinstance(value, list) and _kind(step) == "number" and step == int(step):
        return int(step)
    raise TypeError


def _length(value: Any) -> int | None:
    return len(value) if isinstance(value, str | list | tuple | dict) else None


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    if not value:
        return "empty"
    return "object" if isinstance(value, dict) else "list"


def _same(left: Any, right: Any) -> bool:
    kind = _kind(left)
    if kind != _kind(right):
        return False
    if kind == "list":
        return len(left) == len(right) and all(map(_same, left, right))
    if kind == "object":
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    return kind in ("null", "empty") or bool(_double(left) == _double(right))


def _contains(part: Any, whole: Any) -> bool:
    if isinstance(whole, list | tuple):
        return any(_same(part, one) for one in whole)
    return isinstance(whole, str | dict) and isinstance(part, str) and part in whole


def _ordered(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], bool]:
    def ordered(left: Any, right: Any) -> bool:
        kind = _kind(left)
        if kind != _kind(right) or kind not in ("number", "text"):
            return False
        return bool(compare(_double(left), _double(right)))

    return ordered


def _double(value: Any) -> Any:
    """A number as Lua has it; what is none, as it is."""
    if not is_whole(value):
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


_NONE: Final[tuple[int, Callable[..., Any]]] = (-1, _length)
_OPERATIONS: Final[dict[str, tuple[int, Callable[..., Any]]]] = {
    "not": (1, lambda value: not value),
    "len": (1, _length),
    "==": (2, _same),
    "!=": (2, lambda left, right: not _same(left, right)),
    "<": (2, _ordered(lt)),
    "<=": (2, _ordered(le)),
    ">": (2, _ordered(gt)),
    ">=": (2, _ordered(ge)),
    "in": (2, _contains),
}
