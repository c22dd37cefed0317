"""One task being run, and how it is told to stop.

A run is stopped by interrupting the asyncio task that carries it. The first reason counts, except
that "lost" overrides: a claim that is someone else's now has nothing to report. A handler that
goes on regardless is interrupted again, every `grace_s` seconds.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from coordq import clock, ids

if TYPE_CHECKING:
    from coordq.work.claim import Claim
    from coordq.work.context import Context
    from coordq.work.handler import Handler
    from coordq.work.signals import Suspended

_log: Final = logging.getLogger("coordq.worker")


class Run:
    """One task being run, in the asyncio task that made it."""

    __slots__ = (
        "_grace_s",
        "_interrupts",
        "_task",
        "_timer",
        "claim",
        "ctx",
        "handler",
        "phase",
        "reason",
        "settled",
    )

    def __init__(self, claim: Claim, handler: Handler, *, grace_s: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.claim = claim
        self.handler = handler
        self.ctx: Context | None = None
        self.reason: str | None = None
        """Why it was told to stop, if it was."""
        self.phase = "exception"
        """What an exception means just now, as the reason of a failure."""
        self.settled = False
        """The handler is done: it is too late to stop it."""
        self._task: asyncio.Task[Any] = task
        self._timer: asyncio.TimerHandle | None = None
        self._interrupts = 0
        self._grace_s = grace_s

    @property
    def is_current(self) -> bool:
        """Whether its own asyncio task is the one that runs just now."""
        try:
            return asyncio.current_task() is self._task
        except RuntimeError:
            return False

    @property
    def limit_ms(self) -> int:
        """How long it may take: as it was enqueued, else as its definition says; 0 = no limit."""
        return self.claim.spec.timeout_ms or self.handler.timeout_ms

    @property
    def parting(self) -> Suspended | None:
        """What it has to wait for, if it came to that: then it is over."""
        return None if self.ctx is None else self.ctx.parting

    def deadline(self) -> float | None:
        """When it will be stopped, in monotonic seconds: its own limit, or the total time.

        Of the total time Redis decides; the fence says when by its clock this run was granted, so
        that a wall clock of ours that is wrong does not matter.
        """
        total_ms, limit_ms = self.claim.spec.total_ms, self.limit_ms
        if not total_ms:
            return clock.monotonic() + limit_ms / 1000 if limit_ms else None
        left_ms = ids.created_ms(self.claim.id) + total_ms - self.claim.fence // 1000
        return clock.monotonic() + min(left_ms, limit_ms or left_ms) / 1000

    def limit(self, limit_ms: int) -> None:
        """Stop it with the reason "timeout" after so long."""
        self._timer = self._task.get_loop().call_later(limit_ms / 1000, self.stop, "timeout")

    def settle(self) -> None:
        """The handler is done. If nobody stopped it before, nobody can now."""
        self.settled = self.reason is None

    def stop(self, reason: str) -> bool:
        """Tell it to stop. False when it is too late."""
        if self.settled:
            return False
        first = self.reason is None
        if first or reason == "lost":
            self.reason = reason
        if self.ctx is not None:
            self.ctx.stop()
        if first:
            self._interrupt()
        return True

    def _interrupt(self) -> None:
        if self.settled:
            return
        if self._interrupts:
            _log.warning("task %s (%s) does not stop", self.claim.id, self.claim.name)
        self._interrupts += 1
        self._task.cancel()
        self._disarm()
        self._timer = self._task.get_loop().call_later(self._grace_s, self._interrupt)

    def absorb(self, error: asyncio.CancelledError | None) -> None:
        """Take back our own interruptions; raise `error` when somebody else's remains."""
        self.settled = True
        self._disarm()
        for _ in range(self._interrupts):
            self._task.uncancel()
        self._interrupts = 0
        if error is not None and self._task.cancelling():
            raise error

    def __str__(self) -> str:
        return f"task {self.claim.id} ({self.claim.name})"

    def close(self) -> None:
        """It is over: no timer fires any more, and what a late thread reports goes unheard."""
        self._disarm()
        if self.ctx is not None:
            self.ctx.close()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
