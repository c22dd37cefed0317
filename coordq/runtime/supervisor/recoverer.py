"""The part that takes back claims whose lease has run out, at the moment it does."""

from __future__ import annotations

import logging
import random
from typing import ClassVar, Final

from coordq.runtime.supervisor.part import ShardPart
from coordq.runtime.supervisor.term import Term
from coordq.work.beat import reap

LIMIT: Final = 200
IDLE_S: Final = 1.0
"""A claim made meanwhile may lapse before the one we know of: look at least so often."""

_log = logging.getLogger("coordq.supervisor")


class Recoverer(ShardPart):
    """Reaps. Workers do so too, with their beats: this one also when no worker is left."""

    name: ClassVar[str] = "recoverer"

    async def round_on(self, term: Term, shard: int) -> float:
        """Take back what has lapsed, and see when the next claim will."""
        reaped = await term.run(reap(shard, limit=LIMIT, epoch=term.epoch))
        if reaped.amount:
            self.counts["recovered"] += reaped.amount
            _log.warning("took back %d claims whose lease had run out", reaped.amount)
        if reaped.grace_ms:
            self.counts["held_back"] += 1
        if reaped.lapse_in_ms is None:
            return IDLE_S
        if reaped.amount == LIMIT:
            return 0.0
        return min(IDLE_S, max(0, reaped.lapse_in_ms) / 1000 + random.uniform(0.005, 0.05))
