"""What is due becomes ready, also when nobody claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coordq.engine.call import Call


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What came of looking at what is due."""

    amount: int
    """How many due moments were dealt with, at most 100."""
    due_in_ms: int | None
    """Until something is due; None when nothing is scheduled."""


def forward(shard: int, *, epoch: int | None = None) -> Call[Forwarded]:
    """Let what is due happen. Raises Deposed when `epoch`, the leader's, is over."""

    def read(reply: Any) -> Forwarded:
        amount, due_in_ms = reply
        return Forwarded(amount, due_in_ms if due_in_ms >= 0 else None)

    return Call("work/forward", shard, ("" if epoch is None else epoch,), read)
