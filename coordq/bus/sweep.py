"""What nobody reads any more is let go: groups without readers, names of dead readers, channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coordq.engine.call import Call


@dataclass(frozen=True, slots=True)
class Dropped:
    """A group that is gone."""

    group: str
    why: str
    """unsubscribed, ephemeral (nobody read for a minute) or abandoned (for its abandon time)."""
    messages: int
    """How many it had not acknowledged, on this shard."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a page of a sweep did."""

    cursor: str
    """For the next page; "" when the end was reached."""
    dropped: tuple[Dropped, ...]
    entries: int
    """Messages that a group let go."""
    consumers: int
    """Names of readers that are gone."""
    forgotten: int
    """Channels that were empty for ten minutes, or that nobody hears."""


def sweep(
    shard: int, cursor: str = "", *, limit: int = 200, epoch: int | None = None
) -> Call[Swept]:
    """A page of a sweep; `limit` groups, channels and messages, up to 500.

    epoch: the leader's; None for who does not lead. The reply raises Deposed.
    """
    return Call("bus/sweep", shard, ("" if epoch is None else epoch, cursor, limit), _read)


def _read(reply: Any) -> Swept:
    cursor, gone, entries, consumers, forgotten = reply
    dropped = tuple(
        Dropped(gone[at].decode(), gone[at + 1].decode(), gone[at + 2])
        for at in range(0, len(gone), 3)
    )
    return Swept(cursor.decode(), dropped, entries, consumers, forgotten)
