"""Numbers, moments and strangers' text as people, and terminals, can take them."""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import UTC, datetime
from typing import Any, Final

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_KIBI: Final = 1024
_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_UNSAFE: Final = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON may hold but a terminal may act upon, or not take at all."""


def span(ms: float) -> str:
    """A length of time: 340ms, 12.3s, 5m12s, 3h05m, 4d02h."""
    if ms < 0:
        return "-" + span(-ms)
    if ms < _MS["s"]:
        return f"{ms:.0f}ms"
    if ms < _MS["m"]:
        return f"{ms / _MS['s']:.1f}s"
    if ms < _MS["h"]:
        return _parts(ms, "m", "s")
    return _parts(ms, "h", "m") if ms < _MS["d"] else _parts(ms, "d", "h")


def _parts(ms: float, large: str, small: str) -> str:
    whole, rest = divmod(int(ms), _MS[large])
    return f"{whole}{large}{rest // _MS[small]:02d}{small}"


def size(amount: float) -> str:
    """An amount of memory: 512 B, 1.5 MiB."""
    for unit in _UNITS[:-1]:
        if amount < _KIBI:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _KIBI
    return f"{amount:.1f} {_UNITS[-1]}"


def count(amount: float) -> str:
    """A number with thousands set apart."""
    return f"{amount:,.0f}"


def several(amount: int, noun: str) -> str:
    """An amount of things: 1 worker, 3 workers."""
    return f"{count(amount)} {noun}{'' if amount == 1 else 's'}"


def moment(ms: int, *, fine: bool = False) -> str:
    """A moment in this machine's time zone: 2026-01-31 12:00:01."""
    if not ms:
        return "-"
    when = datetime.fromtimestamp(ms / 1000, UTC).astimezone()
    return when.isoformat(" ", "milliseconds" if fine else "seconds")


def clock_time(ms: int) -> str:
    """A moment of today: 12:00:01.250."""
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]


def printable(text: str, *, keep: str = "") -> str:
    r"""`text` with control characters spelled out, so that nothing in it can steer a terminal.

    keep: characters that may stay, such as "\n".
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else _spelled(one) for one in text)


def _spelled(one: str) -> str:
    """A character that is no letter, spelled out; a space of another alphabet is still a space."""
    return one if unicodedata.category(one) == "Zs" else one.encode("unicode_escape").decode()


def one_line(text: str) -> str:
    """`text` on one line, safe to print."""
    return printable(" ".join(text.split()))


def to_json(value: Any, *, indent: int | None = None) -> str:
    """A JSON document that is safe to print and still the same document."""
    separators = None if indent else (",", ":")
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators, default=str)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def as_text(value: Any) -> str:
    """A result or argument as people want it: text as it is, all else as JSON."""
    if isinstance(value, str):
        return printable(value, keep="\n\t")
    return to_json(value, indent=2)


def jsonable(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts of an error as JSON can say them."""
    answer: dict[str, Any] = json.loads(json.dumps(facts, default=str))
    return answer
