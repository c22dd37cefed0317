"""Bodies of messages as bytes: JSON, compressed if asked, refused when too large."""

from __future__ import annotations

import math
import zlib
from typing import Any, Final

from pydantic_core import from_json, to_json

from coordq.errors import InvalidMessage, PayloadTooLarge

BODY_MAX: Final = 1024 * 1024
"""Bytes of JSON that one message may carry, before it is compressed."""
DEPTH_MAX: Final = 100
VALUES_MAX: Final = 2**19
COMPRESS_FROM: Final = 4096
"""Bytes; what is smaller is not worth it."""
PACKED: Final = b"Z:"
"""Before a compressed body. No JSON begins so."""

_FLAT: Final = frozenset({str, int, bool, type(None)})


def dump(body: Any, *, compress: bool = False) -> bytes:
    """`body` as compact JSON. Raises InvalidMessage, PayloadTooLarge."""
    if type(body) not in _FLAT and not _is_plain(body):
        _check(body)
    try:
        text = to_json(body)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        why = "text holds half a surrogate pair" if "surrogate" in str(error) else str(error)
        raise _refused(why) from error
    if len(text) > BODY_MAX:
        raise PayloadTooLarge(
            f"The body takes {len(text):,} bytes as JSON; {BODY_MAX:,} are allowed. Store the data "
            "elsewhere and send where it is.",
            size=len(text),
        )
    if compress and len(text) >= COMPRESS_FROM:
        packed = PACKED + zlib.compress(text, 1)
        return packed if len(packed) < len(text) else text
    return text


def load(body: bytes) -> Any:
    """What `dump` was given. Raises ValueError for what coordq did not write."""
    if body[:2] == PACKED:
        unpack = zlib.decompressobj()
        try:
            body = unpack.decompress(body[len(PACKED) :], BODY_MAX)
        except zlib.error as error:
            raise ValueError(str(error)) from error
        if not unpack.eof:
            raise ValueError("a compressed body is longer than allowed, or cut off")
    return from_json(body)


def _is_plain(body: Any) -> bool:
    """Whether it is a dict of texts, whole numbers, truth values and nulls, as most are."""
    if type(body) is not dict:
        return False
    for key, value in body.items():
        if type(key) is not str or type(value) not in _FLAT:
            return False
    return True


def _refused(why: str) -> InvalidMessage:
    return InvalidMessage(f"The body cannot be sent: {why}.")


def _check(body: Any) -> None:
    """Raise InvalidMessage for what JSON would silently bend, or choke on."""
    todo, left = [(body, 1)], VALUES_MAX
    while todo:
        item, depth = todo.pop()
        inside = _inside(item)
        left -= len(inside)
        if depth > DEPTH_MAX:
            raise _refused(f"it is nested more than {DEPTH_MAX} levels deep")
        if left < 0:
            raise _refused(f"it holds more than {VALUES_MAX:,} values")
        todo += [(inner, depth + 1) for inner in inside if type(inner) not in _FLAT]


def _inside(item: Any) -> list[Any]:
    if isinstance(item, dict):
        for key in item:
            if not isinstance(key, str):
                raise _refused(f"it has the key {key!r}, which is not text")
        return list(item.values())
    if isinstance(item, list | tuple):
        return list(item)
    if isinstance(item, float) and not math.isfinite(item):
        raise _refused(f"it holds {item}: NaN and infinity are not JSON")
    if item is not None and not isinstance(item, str | int | float):
        raise _refused(f"it holds {type(item).__name__}, which is not JSON")
    return []
