"""The part that sweeps the bus: groups that nobody reads, dead readers, what is empty or over."""

from __future__ import annotations

import logging
from typing import ClassVar, Final

from coordq.bus.session import tend
from coordq.bus.sweep import sweep
from coordq.runtime.supervisor.part import ShardPart
from coordq.runtime.supervisor.term import Term

LIMIT: Final = 200
PAGE_PAUSE_S: Final = 0.05
"""Between two pages of a walk: Redis has other things to do."""
WALK_EVERY_S: Final = 10.0

_log = logging.getLogger("coordq.supervisor")


class Sweeper(ShardPart):
    """Sweeps. Who ends a group does so too: this one also for groups whose readers are gone."""

    name: ClassVar[str] = "sweeper"

    def __init__(self) -> None:
        super().__init__()
        self._cursors: dict[int, str] = {}

    def begin(self, term: Term) -> None:
        """Walk from the start."""
        self._cursors.clear()

    async def round_on(self, term: Term, shard: int) -> float:
        """Sweep a page, and tend sessions."""
        cursor = self._cursors.get(shard, "")
        swept = await term.run(sweep(shard, cursor, limit=LIMIT, epoch=term.epoch))
        self._cursors[shard] = swept.cursor
        for what in ("entries", "consumers", "forgotten"):
            if amount := getattr(swept, what):
                self.counts[what] += amount
        for gone in swept.dropped:
            self.counts["groups"] += 1
            level = logging.WARNING if gone.messages else logging.INFO
            _log.log(
                level, "group %s %s: let go of %d messages", gone.group, gone.why, gone.messages
            )
        more = await self._tend(term, shard)
        return PAGE_PAUSE_S if swept.cursor or more else WALK_EVERY_S

    async def _tend(self, term: Term, shard: int) -> bool:
        """Close sessions whose time is over; whether there may be more of them."""
        tended = await term.run(tend(shard, limit=LIMIT, epoch=term.epoch))
        for what in ("closed", "gone"):
            if amount := getattr(tended, what):
                self.counts[f"sessions_{what}"] += amount
        return tended.more
