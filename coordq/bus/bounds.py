"""How much a channel may hold."""

from __future__ import annotations

from typing import Final

from coordq.bus.topic import check_channel
from coordq.engine.call import Call
from coordq.errors import InvalidOption
from coordq.topics import check_pattern

ENTRIES: Final = 10_000
BYTES: Final = 32 * 1024 * 1024
"""Unless something else was said."""
ENTRIES_MAX: Final = 100_000_000
BYTES_MAX: Final = 2**40


def configure(shard: int, channel: str, *, entries: int, max_bytes: int) -> Call[int]:
    """Say how much a channel may hold that is not acknowledged, or all that a pattern fits.

    entries: 0 takes back what was said. The exact name counts before the longest pattern; `**` is
    for all that nothing else is said of. Every shard has all bounds.
    Raises InvalidTopic, InvalidOption.
    """
    if "*" in channel and channel != "*":
        check_pattern(channel)
    else:
        check_channel(channel)
    _whole("max_entries", entries, ENTRIES_MAX)
    _whole("max_bytes", max_bytes, BYTES_MAX)
    return Call("bus/configure", shard, (channel, entries, max_bytes), int)


def _whole(option: str, value: object, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise InvalidOption(
            f"{option}={value!r}: give a whole number from 0 to {most:,}.", option=option
        )
