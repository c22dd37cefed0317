"""Flows whose time is over go, a page a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coordq.engine.call import Argument, Call


@dataclass(frozen=True, slots=True)
class Swept:
    """What a page brought."""

    tasks: int
    """Tasks deleted."""
    flows: int
    """1 when that was the last page of a flow."""
    due_in_ms: int | None
    """Until there is something to delete, 0 for at once; None when there never is."""


def sweep(shard: int, *, limit: int = 200, epoch: int | None = None) -> Call[Swept]:
    """Delete a page of a flow that ended longer ago than its ttl, or was never launched in an hour.

    epoch: the leader's; None for others. Raises Deposed when it is over.
    """

    def read(reply: Any) -> Swept:
        tasks, flows, due_in_ms = reply
        return Swept(tasks, flows, due_in_ms if due_in_ms >= 0 else None)

    args: tuple[Argument, ...] = ("" if epoch is None else epoch, limit)
    return Call("flow/tidy", shard, args, read)
