"""What values look like on the command line: times, sizes, moments, pairs, weighted queues."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from coordq.spans import parse_span

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.ASCII | re.IGNORECASE)

WEIGHT_DIGITS_MAX: Final = 5

if TYPE_CHECKING:
    Type = click.ParamType[Any]
else:
    Type = click.ParamType  # older clicks have it without a parameter


class Span(Type):
    """A length of time, as seconds."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds."""
        if isinstance(value, int | float):
            return float(value)
        found = parse_span(str(value))
        if found is None:
            self.fail(f"{value!r} is not a length of time: use 90, 90s, 5m, 2h or 1d.", param, ctx)
        return found


class Size(Type):
    """An amount of memory, as bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes."""
        if isinstance(value, int):
            return value
        match = _SIZE.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a size: use 1000000, 512KB, 64MB or 1GB.", param, ctx)
        power = " kmgt".index(match.group(2).lower() or " ")
        return int(float(match.group(1)) * 1024**power)


class Moment(Type):
    """A moment: an aware datetime, or seconds since 1970."""

    name = "moment"

    def __init__(self, *, zone_comes_later: bool = False) -> None:
        self._zone_comes_later = zone_comes_later

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime | float:
        """The moment; one without a time zone is in this machine's, or its zone comes later."""
        if isinstance(value, datetime | int | float):
            return value
        text = str(value).strip()
        if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
            return float(text)
        try:
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo or self._zone_comes_later else moment.astimezone()
        except (ValueError, OverflowError, OSError):
            self.fail(
                f"{value!r} is not a moment: use 2026-01-31T18:00, 2026-01-31T18:00:00+01:00 or "
                "seconds since 1970.",
                param,
                ctx,
            )


class Pair(Type):
    """`name=value`, as a tuple."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """The name and the value."""
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if not (name and equals):
            self.fail(f"{value!r} is not of the form name=value.", param, ctx)
        return name, text


class Queues(Type):
    """`a,b:3`: queues and their weights."""

    name = "queues"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[str, int], ...]:
        """(name, weight) pairs; the weight is 1 unless it is said."""
        if isinstance(value, tuple):
            return value
        return tuple(self._one(part, param, ctx) for part in str(value).split(",") if part.strip())

    def _one(
        self, part: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        name, colon, weight = part.strip().rpartition(":")
        if not colon:
            return part.strip(), 1
        if not (weight.isascii() and weight.isdecimal() and len(weight) <= WEIGHT_DIGITS_MAX):
            self.fail(f"{part!r}: the weight behind the colon must be a whole number.", param, ctx)
        return name, int(weight)


class Waits(Type):
    """`1s,10s,5m`: how long to wait before each further attempt."""

    name = "times"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Seconds."""
        if isinstance(value, tuple):
            return value
        return tuple(Span().convert(part, param, ctx) for part in str(value).split(","))


class Descriptors(Type):
    """`5,7`: file descriptors that a spawner has passed on."""

    name = "descriptors"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """The numbers."""
        if isinstance(value, tuple):
            return value
        words = str(value).split(",")
        if not all(word.isascii() and word.isdecimal() for word in words):
            self.fail(f"{value!r} are no file descriptors: use 5 or 5,7.", param, ctx)
        return tuple(int(word) for word in words)


SPAN: Final = Span()
SIZE: Final = Size()
MOMENT: Final = Moment()
SHOWN: Final = Moment(zone_comes_later=True)
"""What a clock shows, in a zone that another option names."""
PAIR: Final = Pair()
QUEUES: Final = Queues()
WAITS: Final = Waits()
TETHER: Final = Descriptors()
