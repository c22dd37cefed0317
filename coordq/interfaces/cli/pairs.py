"""Arguments of a task as they are written in a shell."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from coordq.errors import InvalidArguments

_JSON_STARTS = '{["-0123456789tfn'


def read_arguments(
    pairs: Iterable[str], whole: str | None, *, option: str = "--args"
) -> dict[str, Any]:
    """The arguments that `--args` and `key=value` pairs say; a pair is stronger than --args.

    option: what takes a whole JSON value in the command, for the error that says so. Raises
    InvalidArguments.
    """
    args = _whole(whole) if whole is not None else {}
    seen: set[str] = set()
    for pair in pairs:
        key, value = _pair(pair, option)
        if key in seen:
            raise InvalidArguments(f"The argument {key!r} is given twice.", argument=key)
        seen.add(key)
        args[key] = value
    return args


def _whole(text: str) -> dict[str, Any]:
    where = "--args"
    if text.startswith("@"):
        where, text = text[1:], _file(text[1:], "--args")
    value = _json(text, where)
    if not isinstance(value, dict):
        raise InvalidArguments(f"{where} must hold a JSON object, not {_kind(value)}.")
    return value


def _pair(pair: str, option: str) -> tuple[str, Any]:
    key, equals, text = pair.partition("=")
    if not equals:
        ways = f"key=value, key:=json or key=@file, or all of them as JSON with {option}"
        raise InvalidArguments(f"{pair!r} is no argument: write {ways}.", argument=pair)
    exact = key.endswith(":")
    key = key.removesuffix(":")
    if not key:
        raise InvalidArguments(f"{pair!r} names no argument: write key=value.", argument=pair)
    from_file = text.startswith("@")
    if from_file:
        text = _file(text[1:], key)
    if exact:
        return key, _json(text, key)
    return key, text if from_file else guess(text)


def guess(text: str) -> Any:
    """`text` as JSON if it is a number, true, false, null, object, array or quoted; else itself."""
    if not text or text[0] not in _JSON_STARTS:
        return text
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise InvalidArguments(f"{where} does not hold JSON: {reason}.", argument=where) from error


def _file(place: str, key: str) -> str:
    try:
        data = sys.stdin.buffer.read() if place == "-" else Path(place).read_bytes()
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidArguments(
            f"{key}: the file {place!r} is not UTF-8 text. Pass where it is instead.", argument=key
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidArguments(
            f"{key}: cannot read {place!r}: {reason}. For text that begins with @ write "
            f"{key}:='\"@{place}\"'.",
            argument=key,
        ) from error


def _kind(value: Any) -> str:
    names = {list: "an array", str: "text", type(None): "null", bool: "true or false"}
    return names.get(type(value), "a number")
