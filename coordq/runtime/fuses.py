"""Tells breakers how the runs of agents end that ask for it: `Agent(breaker=True)`.

A run is made whatever the breaker says: it was claimed, and somebody waits for it. What the breaker
changes is who is given the next one, by recommendations, balancers and routing. So nothing here
keeps a run waiting: Redis is asked while it runs, and told when it has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from coordq.client.breakers_async import AsyncBreakers
from coordq.clock import monotonic
from coordq.errors import InvalidArguments
from coordq.runtime.hands import Runs
from coordq.runtime.verdict import read_error
from coordq.work.finish import Outcome
from coordq.work.handler import Handler

BLAMELESS: Final = (
    "rejected",
    "invalid-arguments",
    "input-gone",
    "cancelled",
    "deadline",
    "other-shard",
)
"""Reasons, up to a colon, that say something about the task, or who made it, and nothing about the
agent."""


class Fuses:
    """Stands between who starts runs and the executor, which it is taken for."""

    def __init__(
        self, runs: Runs, handlers: Mapping[str, Handler], breakers: AsyncBreakers
    ) -> None:
        self._runs = runs
        self._breakers = breakers
        self._subjects = {
            name: f"agent:{handler.agent.name}"
            for name, handler in handlers.items()
            if handler.agent.breaker
        }
        """By what is run."""
        self._aside: set[asyncio.Task[Any]] = set()

    @property
    def needed(self) -> bool:
        """Whether any agent here has a breaker; else the executor does without."""
        return bool(self._subjects)

    async def run(self, claim: Any, /) -> Outcome | None:
        """As the executor does, and tell how it ended."""
        subject = self._subjects.get(claim.name)
        if subject is None:
            return await self._runs.run(claim)
        asking = None
        if self._breakers.stale(subject):
            asking = self._side(self._breakers.news(subject))
        began_s, outcome = monotonic(), None
        try:
            outcome = await self._runs.run(claim)
        finally:
            self._side(self._tell(subject, asking, failed(outcome), monotonic() - began_s))
        return outcome

    def cancel(self, member: str, reason: Any, /) -> Any:
        """As the executor does."""
        return self._runs.cancel(member, reason)

    async def refuse(self, claim: Any, error: InvalidArguments, /) -> Outcome:
        """As the executor does: what cannot be had is not the agent's fault."""
        return await self._runs.refuse(claim, error)

    async def close(self) -> None:
        """Tell what is left, after all runs."""
        if self._aside:
            await asyncio.wait(self._aside)
        if self.needed:
            await self._breakers.flush()

    async def _tell(
        self,
        subject: str,
        asking: asyncio.Task[str] | None,
        has_failed: bool | None,  # noqa: FBT001 - as the door of breakers wants it
        took_s: float,
    ) -> None:
        token = "" if asking is None else await asking
        ledger = self._breakers.shelf.ledger(subject)
        await self._breakers.told(ledger, has_failed, took_s, token)

    def _side(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)
        return task


def failed(outcome: Outcome | None) -> bool | None:
    """Whether an agent has failed whose run ended so; None when that says nothing about it."""
    if outcome is None:
        return None
    if outcome.kind == "succeeded":
        return False
    if outcome.kind not in {"failed", "retry"}:
        return None
    reason = read_error(outcome.body).get("reason", "").partition(":")[0]
    return None if reason in BLAMELESS else True
