"""How much a channel may hold."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from coordq.amounts import whole
from coordq.bus.topic import check_channel
from coordq.engine.call import Call
from coordq.topics import check_pattern

ENTRIES: Final = 10_000
BYTES: Final = 32 * 1024 * 1024
"""Unless something else was said."""
ENTRIES_MAX: Final = 100_000_000
BYTES_MAX: Final = 2**40


class Bound(NamedTuple):
    """What was said about a channel, or about all that a pattern fits."""

    channel: str
    entries: int
    max_bytes: int

    def to_json(self) -> dict[str, str | int]:
        """As plain JSON."""
        return {"channel": self.channel, "entries": self.entries, "bytes": self.max_bytes}


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
    whole("max_entries", entries, most=ENTRIES_MAX)
    whole("max_bytes", max_bytes, most=BYTES_MAX)
    return Call("bus/configure", shard, (channel, entries, max_bytes), int)


def bounds(shard: int) -> Call[list[Bound]]:
    """All that was said, by name; every shard knows the same."""
    return Call("bus/bounds", shard, (), _read)


def _read(reply: Any) -> list[Bound]:
    found = []
    for name, said in sorted(zip(reply[::2], reply[1::2], strict=True)):
        entries, _, size = said.partition(b" ")
        if entries.isdigit() and size.isdigit():  # else a stranger wrote it
            found.append(Bound(name.decode(errors="replace"), int(entries), int(size)))
    return found
