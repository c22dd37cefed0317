"""The part that deletes what is no longer worth keeping, a little at a time."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Final

from coordq.runtime.supervisor.part import ShardPart, Work
from coordq.runtime.supervisor.settings import SupervisorSettings
from coordq.runtime.supervisor.term import Term
from coordq.work.flow.tidy import sweep
from coordq.work.tidy import Place, tidy

LIMIT: Final = 200
PAGE_PAUSE_S: Final = 0.1
"""Between two pages of a walk: Redis has other things to do."""
WALK_EVERY_S: Final = 60.0


class Janitor(ShardPart):
    """Tidies by the retention that the leader was given, and flows by their own."""

    name: ClassVar[str] = "janitor"

    def __init__(self, settings: SupervisorSettings) -> None:
        super().__init__()
        self._dead_ms = round(settings.dead_retention_s * 1000)
        self._events_ms = round(settings.event_retention_s * 1000)
        self._places: dict[int, Place] = {}

    def begin(self, term: Term) -> None:
        """Walk from the start."""
        self._places.clear()

    def works(self, term: Term) -> list[Work]:
        """For each shard what is kept of tasks, and what of flows."""
        flows = [partial(self._sweep_on, term, shard) for shard in range(term.shards)]
        return [*super().works(term), *flows]

    async def _sweep_on(self, term: Term, shard: int) -> float:
        """Delete a page of a flow whose time is over."""
        done = await term.run(sweep(shard, limit=LIMIT, epoch=term.epoch))
        self.counts["flows"] += done.flows
        self.counts["flow_tasks"] += done.tasks
        if done.due_in_ms is None:
            return WALK_EVERY_S
        return min(WALK_EVERY_S, max(PAGE_PAUSE_S, done.due_in_ms / 1000))

    async def round_on(self, term: Term, shard: int) -> float:
        """Tidy a page."""
        call = tidy(
            shard,
            self._places.get(shard, Place()),
            dead_ms=self._dead_ms,
            events_ms=self._events_ms,
            limit=LIMIT,
            epoch=term.epoch,
        )
        done = await term.run(call)
        self._places[shard] = done.place
        for what in ("dead", "events", "done", "heads"):
            if amount := getattr(done, what):
                self.counts[what] += amount
        ended = done.place.at_start and done.dead < LIMIT
        return WALK_EVERY_S if ended else PAGE_PAUSE_S
