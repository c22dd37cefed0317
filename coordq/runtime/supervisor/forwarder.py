"""The part that makes tasks ready when their moment has come."""

from __future__ import annotations

from typing import ClassVar, Final

from coordq.runtime.supervisor.part import ShardPart
from coordq.runtime.supervisor.term import Term
from coordq.work.due import forward

IDLE_S: Final = 1.0
"""What is scheduled meanwhile may be due before what we know of: look at least so often."""


class Forwarder(ShardPart):
    """Promotes. Claims do so too: this one also while all workers are busy, or gone."""

    name: ClassVar[str] = "forwarder"

    async def round_on(self, term: Term, shard: int) -> float:
        """Let what is due happen, and see when the next moment comes."""
        done = await term.run(forward(shard, epoch=term.epoch))
        if done.amount:
            self.counts["forwarded"] += done.amount
        return IDLE_S if done.due_in_ms is None else min(IDLE_S, done.due_in_ms / 1000)
