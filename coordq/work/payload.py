"""Arguments as JSON: refused when they are not, or too large."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import to_json

from coordq.errors import InvalidArguments, PayloadTooLarge

PAYLOAD_MAX: Final = 1024 * 1024
"""Bytes of JSON that one task's arguments, or its result, may take."""
DEPTH_MAX: Final = 100
VALUES_MAX: Final = 2**19
"""More cannot fit into PAYLOAD_MAX, but a list that holds itself many times over could try."""

DIGITS_MAX: Final = 4300
"""Of an integer: Python reads no longer ones."""

_LONG: Final = re.compile(rb"[0-9]{4301}")
_FLAT: Final = frozenset({str, int, bool, type(None)})


def dump_args(name: str, args: Any) -> bytes:
    """`args`, a mapping of parameter names to values, as compact JSON.

    Raises InvalidArguments, PayloadTooLarge.
    """
    if type(args) is not dict:
        args = _as_dict(name, args)
    for key, value in args.items():
        if type(key) is not str:
            raise _refused(name, f"the parameter name {key!r} is not text")
        if type(value) not in _FLAT:
            _check(name, key, value)
    try:
        text = to_json(args)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise _refused(name, _reason(error)) from error
    if len(text) > PAYLOAD_MAX:
        raise PayloadTooLarge(
            f"The arguments of task {name!r} take {len(text):,} bytes as JSON; {PAYLOAD_MAX:,} are "
            "allowed. Store the data elsewhere and pass where it is.",
            size=len(text),
        )
    if len(text) > DIGITS_MAX and _LONG.search(text):
        _read_back(name, text)
    return text


def _read_back(name: str, text: bytes) -> None:
    try:
        json.loads(text)
    except ValueError as error:
        raise _refused(name, f"an integer has more than {DIGITS_MAX:,} digits") from error


def _as_dict(name: str, args: Any) -> dict[str, Any]:
    if args is None:
        return {}
    if isinstance(args, Mapping):
        return dict(args)
    raise _refused(name, f"they are {type(args).__name__}, not a mapping of names to values")


def _reason(error: Exception) -> str:
    if "surrogates not allowed" in str(error):
        return "text holds half a surrogate pair, which is not Unicode"
    return str(error)


def _check(name: str, path: str, value: Any) -> None:
    """Raise InvalidArguments for what json would silently bend, or choke on."""
    todo, left = [(path, value, 1)], VALUES_MAX
    while todo:
        where, item, depth = todo.pop()
        inside = _inside(name, where, item)
        left -= len(inside)
        if depth > DEPTH_MAX:
            raise _refused(name, f"{where[:60]} is nested more than {DEPTH_MAX} levels deep")
        if left < 0:
            raise _refused(name, f"{path} holds more than {VALUES_MAX:,} values")
        todo += [(at, inner, depth + 1) for at, inner in inside if type(inner) not in _FLAT]


def _inside(name: str, path: str, item: Any) -> list[tuple[str, Any]]:
    """The values inside a container, with where they are; nothing for what holds none."""
    if isinstance(item, dict):
        _check_keys(name, path, item)
        return [(f"{path}.{key}", inner) for key, inner in item.items()]
    if isinstance(item, list | tuple):
        return [(f"{path}[{at}]", inner) for at, inner in enumerate(item)]
    _check_leaf(name, path, item)
    return []


def _check_keys(name: str, path: str, value: dict[Any, Any]) -> None:
    for key in value:
        if not isinstance(key, str):
            raise _refused(name, f"{path} has the key {key!r}, which is not text")


def _check_leaf(name: str, path: str, value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise _refused(name, f"{path} is {value}: NaN and infinity are not JSON")
    if not isinstance(value, str | int | float):
        raise _refused(name, f"{path} is {type(value).__name__}, which is not JSON")


def _refused(name: str, why: str) -> InvalidArguments:
    return InvalidArguments(f"The arguments of task {name!r} cannot be sent: {why}.", task=name)
