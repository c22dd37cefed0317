"""What is no longer worth keeping goes, a page a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coordq.engine.call import Argument, Call


@dataclass(frozen=True, slots=True)
class Place:
    """Where a walk through a shard goes on."""

    done_at: int = 0
    queues_at: int = 0

    @property
    def at_start(self) -> bool:
        """Whether there is nothing to go on with: the walk has come to its end."""
        return not (self.done_at or self.queues_at)


@dataclass(frozen=True, slots=True)
class Tidied:
    """What a page brought."""

    dead: int
    """Dead letters deleted."""
    events: int
    """Stream entries deleted."""
    done: int
    """Ended tasks off the list, whose records have expired."""
    heads: int
    """Lines that queues still named and that are gone."""
    place: Place
    """Where to go on."""


def tidy(
    shard: int,
    place: Place,
    *,
    dead_ms: int = 0,
    events_ms: int = 0,
    limit: int = 200,
    epoch: int | None = None,
) -> Call[Tidied]:
    """Delete what is too old, `limit` of each kind at most.

    dead_ms, events_ms: the age at which dead letters and events go; 0: they stay.
    epoch: the leader's; None for others. Raises Deposed when it is over.
    """

    def read(reply: Any) -> Tidied:
        dead, events, done, heads, done_at, queues_at = reply
        return Tidied(dead, events, done, heads, Place(done_at, int(queues_at)))

    args: tuple[Argument, ...] = (
        "" if epoch is None else epoch,
        dead_ms,
        events_ms,
        place.done_at,
        place.queues_at,
        limit,
    )
    return Call("work/tidy", shard, args, read)
