"""A group that one reader reads alone, as causal order needs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from coordq.engine.call import Call

LEASE_S: Final = 30.0
"""For so long a reader that crashed is believed to read."""
LOOK_MAX: Final = 64
"""Channels of one call."""
NOTHING, UNREAD, LATER = 0, 1, 2
"""What is still to come of a channel: see lua/bus/alone.lua."""


class Alone(NamedTuple):
    """What a reader is told."""

    other: str
    """"", or who reads the group alone already."""
    coming: dict[str, int]
    """NOTHING, UNREAD or LATER, by channel."""


def alone(
    shard: int,
    group: str,
    reader: str,
    *,
    lease_s: float = LEASE_S,
    channels: Sequence[str] = (),
) -> Call[Alone]:
    """Read a group alone for another `lease_s` seconds (0: no longer), and ask what comes still.

    channels: up to 64.
    """

    def read(reply: Any) -> Alone:
        other, *coming = reply
        return Alone(other.decode(errors="replace"), dict(zip(channels, coming, strict=False)))

    return Call("bus/alone", shard, (group, reader, round(lease_s * 1000), *channels), read)
