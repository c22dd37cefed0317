"""Runs what was claimed, one handler a claim, and decides how each claim ends.

Every claim ends with an outcome that Redis hears, also one that was lost or cut off: it is
released, and if somebody else holds the task by now Redis refuses the release and notes it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from coordq import clock
from coordq.errors import InvalidArguments
from coordq.runtime.briefing import wanted
from coordq.runtime.ledger import Ledger, Mark, Word
from coordq.runtime.pace import Pace
from coordq.runtime.shares import Shares
from coordq.runtime.slots import Hold, Slots
from coordq.runtime.stopwatch import Stopwatch
from coordq.runtime.verdict import snoozed
from coordq.work.claim import Claim
from coordq.work.finish import Outcome

SUSPECT_STRIKES: Final = 2
"""From so many strikes on, tasks run one at a time: the next death tells who is guilty."""
UNBRIEFED_S: Final = 5.0
"""How long a task whose inputs Redis refuses to give is left alone."""
KILL_GRACE_S: Final = 2.0
"""How long past its timeout a handler may block the loop before the parent kills the child."""

_log = logging.getLogger("coordq.worker")

Deliver = Callable[[Hold, Outcome], None]


class Runs(Protocol):
    """What is wanted of an executor."""

    async def run(self, claim: Any, /) -> Outcome | None:
        """Run a claim's handler; None gives the task back as if it had not started."""

    def cancel(self, member: str, reason: Any, /) -> Any:
        """Tell the handler of a claim to stop: cancelled, deadline, shutdown or lost."""

    async def refuse(self, claim: Any, error: InvalidArguments, /) -> Outcome:
        """End a claim whose arguments cannot be had, without a run."""


class Briefs(Protocol):
    """What is wanted of a briefer."""

    async def brief(self, claim: Claim, /) -> Claim:
        """The claim with all that it needs to know before it runs. Raises InvalidArguments."""


class Tells(Protocol):
    """What is wanted of a reporter."""

    def pending(self, member: str) -> bool:
        """Whether something of this task is not with Redis yet."""

    async def flush(self, member: str) -> None:
        """Send what is left of a task."""


class Hands:
    """The running handlers of one child."""

    def __init__(
        self,
        slots: Slots,
        ledger: Ledger,
        *,
        executor: Runs,
        reporter: Tells,
        briefer: Briefs,
        timeouts_ms: Mapping[str, int],
        delays_s: Mapping[str, float] | None = None,
        watch: Stopwatch | None = None,
        shares: Shares | None = None,
    ) -> None:
        self._slots = slots
        self._ledger = ledger
        self._executor = executor
        self._reporter = reporter
        self._briefer = briefer
        self._timeouts_ms = timeouts_ms
        self._delays_s = delays_s or {}
        """How long a task may wait for the others of its batch, before its time begins."""
        self.watch = watch or Stopwatch()
        self._shares = shares if shares is not None else Shares()
        self._suspects = asyncio.Lock()
        self._pace = Pace()
        self.started = 0
        self._succeeded = 0
        self._failed = 0

    def start(self, claim: Claim, deliver: Deliver) -> None:
        """Take a claim and run its handler; `deliver` gets the outcome."""
        self.started += 1
        if wanted(claim):
            hold = self._slots.take(claim, mark=Mark.WAITING, deadline_ns=0)
            hold.task = asyncio.create_task(self._brief(hold, deliver))
        elif claim.strikes >= SUSPECT_STRIKES:
            hold = self._slots.take(claim, mark=Mark.WAITING, deadline_ns=0)
            hold.task = asyncio.create_task(self._run_suspect(hold, deliver))
        else:
            timed = claim.spec.timeout_ms or claim.name in self._timeouts_ms
            mark = Mark.WAITING if timed else Mark.RUNNING
            hold = self._slots.take(claim, mark=mark, deadline_ns=0)
            self._pace.start(lambda: self._begin(hold, deliver))

    async def _brief(self, hold: Hold, deliver: Deliver) -> None:
        """Ask for what the task needs to know, and let it stand in line then."""
        claim = hold.claim
        try:
            hold.claim = await self._briefer.brief(claim)
        except asyncio.CancelledError:
            return self._end(hold, None, deliver)
        except InvalidArguments as error:
            return self._end(hold, await self._executor.refuse(claim, error), deliver)
        except Exception as error:  # noqa: BLE001 - the task must not be held for ever
            _log.error("task %s (%s) cannot be briefed: %s", claim.id, claim.name, error)
            return self._end(hold, snoozed(claim, UNBRIEFED_S), deliver)
        if claim.strikes >= SUSPECT_STRIKES:
            return await self._run_suspect(hold, deliver)
        self._pace.start(lambda: self._begin(hold, deliver))
        return None

    def _begin(self, hold: Hold, deliver: Deliver) -> None:
        """Its turn has come."""
        if hold.waiting:
            hold.waiting = False
            deadline_ns = self._deadline_ns(hold.claim)
            self._slots.remark(hold, mark=Mark.RUNNING, deadline_ns=deadline_ns)
        hold.task = asyncio.create_task(self._run(hold, deliver))

    def decline(self, claim: Claim, deliver: Deliver) -> None:
        """Take a claim only to give it back: it came while we were closing."""
        hold = self._slots.take(claim, mark=Mark.WAITING, deadline_ns=0)
        self._end(hold, None, deliver)

    def cancel(self, hold: Hold, reason: str) -> None:
        """Tell a handler to stop. The first reason counts, unless the claim is lost."""
        if hold.ended or hold.reason in {reason, "lost"}:
            return
        hold.reason = reason
        if hold.task is None:
            return  # it sees the reason when its turn comes
        if hold.waiting:
            hold.task.cancel()
        else:
            self._executor.cancel(hold.claim.member, reason)

    def cancel_all(self, reason: str, *, where: Callable[[Hold], bool] = lambda _: True) -> None:
        """Tell all handlers to stop, or those that `where` picks."""
        for hold in list(self._slots.held.values()):
            if where(hold):
                self.cancel(hold, reason)

    def note(self) -> None:
        """Write the counters into the ledger."""
        self._ledger.put(Word.STARTED, self.started)
        self._ledger.put(Word.SUCCEEDED, self._succeeded)
        self._ledger.put(Word.FAILED, self._failed)
        self._ledger.put(Word.RUNNING, len(self._slots.held))

    def note_times(self) -> None:
        """Write what the time was spent on, too. To be called before `note`.

        So whoever reads there how many runs have ended finds the times of all of these.
        """
        begun = (hold.began for hold in self._slots.held.values() if hold.began)
        self.watch.note(self._ledger, begun)
        self._shares.note(self._ledger, (hold.claim.name for hold in self._slots.held.values()))

    async def _run_suspect(self, hold: Hold, deliver: Deliver) -> None:
        try:
            async with self._suspects:
                deadline_ns = self._deadline_ns(hold.claim)
                hold.waiting = False
                self._slots.remark(hold, mark=Mark.SUSPECT, deadline_ns=deadline_ns)
                await self._run(hold, deliver)
                # Done, though Redis has not heard of it: the next to run must not share its blame.
                self._slots.remark(hold, mark=Mark.WAITING)
        except asyncio.CancelledError:
            if not hold.ended:
                self._end(hold, None, deliver)

    async def _run(self, hold: Hold, deliver: Deliver) -> None:
        claim = hold.claim
        outcome = None
        if hold.reason:  # told to stop before its first step
            self._end(hold, None, deliver)
            return
        began = hold.began = clock.monotonic()
        try:
            outcome = await self._executor.run(claim)
        except asyncio.CancelledError:
            outcome = None
        except Exception as error:  # noqa: BLE001 - a defect of ours must not hold the task
            _log.exception("task %s (%s): the executor failed", claim.id, claim.name)
            outcome = Outcome("failed", claim.id, claim.fence, error_json(error, "executor"))
        hold.began = 0.0
        hold.took = clock.monotonic() - began
        self.watch.ran(hold.took)
        if self._reporter.pending(claim.member):
            await self._reporter.flush(claim.member)
        self._end(hold, outcome, deliver)

    def _end(self, hold: Hold, outcome: Outcome | None, deliver: Deliver) -> None:
        hold.ended = True
        if outcome is None or (hold.reason == "lost" and outcome.kind != "succeeded"):
            outcome = Outcome("release", hold.claim.id, hold.claim.fence)
        if outcome.kind == "succeeded":
            self._succeeded += 1
            share = self._shares[hold.claim.name]
            share.succeeded += 1
            share.worked_s += hold.took
        elif outcome.kind in {"failed", "retry"}:
            self._failed += 1
            share = self._shares[hold.claim.name]
            share.failed += 1
            share.worked_s += hold.took
        deliver(hold, outcome)

    def _deadline_ns(self, claim: Claim) -> int:
        """When the parent may conclude that the child cannot stop this handler; 0 for never."""
        timeout_ms = claim.spec.timeout_ms or self._timeouts_ms.get(claim.name, 0)
        if not timeout_ms:
            return 0
        late_s = self._delays_s.get(claim.name, 0.0) + KILL_GRACE_S
        return int((clock.monotonic() + timeout_ms / 1000 + late_s) * 1e9)


def error_json(error: BaseException, reason: str) -> bytes:
    """An error of our own making, as a task's record keeps it."""
    facts = {"type": type(error).__name__, "message": str(error), "traceback": "", "reason": reason}
    return json.dumps(facts).encode()
