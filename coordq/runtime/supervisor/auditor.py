"""The part that goes through the books, and puts right what does not add up.

It reads everything there is, so it takes its time: after each slice of work it rests for a multiple
of what the slice took. A million tasks are gone through in some minutes, at a twentieth of a core.
"""

from __future__ import annotations

import logging
from typing import Any, ClassVar, Final

from coordq import clock
from coordq.client.audit import Audit
from coordq.client.plan import Plan
from coordq.engine.call import Call
from coordq.runtime.supervisor.part import ShardPart
from coordq.runtime.supervisor.term import Term
from coordq.work.audit import Finding

SLICE_S: Final = 0.01
REST: Final = 19
"""So many times as long as a slice took it rests: a twentieth of the time is spent."""
FIRST_S: Final = 5.0
"""A new leader has more urgent things to do."""

_log = logging.getLogger("coordq.supervisor")


class Round:
    """One audit of one shard on its way."""

    def __init__(self, term: Term, shard: int) -> None:
        self.audit = Audit(term.engine.namespace, shard, epoch=term.epoch)
        self._plan: Plan[Any] = self.audit.plan()
        self._answer: Any = None

    async def step(self, term: Term) -> bool:
        """Do what comes next; false when nothing does."""
        try:
            step = self._plan.send(self._answer)
        except StopIteration:
            return False
        if isinstance(step, Call):
            self._answer = await term.run(step)
        else:
            self._answer = await term.engine.execute(step.shard, *step.words)
        return True


class Auditor(ShardPart):
    """Audits each shard, again and again. Nothing that it does is urgent."""

    name: ClassVar[str] = "auditor"

    def __init__(self, *, every_s: float) -> None:
        super().__init__()
        self._every_s = every_s
        self._rounds: dict[int, Round] = {}
        self._rested: set[int] = set()

    def begin(self, term: Term) -> None:
        """An audit that an earlier term broke off begins anew."""
        self._rounds.clear()
        self._rested.clear()

    async def round_on(self, term: Term, shard: int) -> float:
        """A slice of an audit."""
        if shard not in self._rested:
            self._rested.add(shard)
            return min(self._every_s, FIRST_S)
        # one that fails is not taken up again: what it was about to compare is old by then
        work = self._rounds.pop(shard, None) or Round(term, shard)
        findings = work.audit.report.findings
        began, told, going = clock.monotonic(), len(findings), True
        while going:
            going = await work.step(term)
            self._tell(findings[told:])
            told = len(findings)
            if going and (took_s := clock.monotonic() - began) >= SLICE_S:
                self._rounds[shard] = work
                return took_s * REST
        self._note(work)
        return self._every_s

    def _tell(self, findings: list[Finding]) -> None:
        for one in findings:
            self.counts["repaired"] += 1
            _log.warning("repaired %s: %s", one.subject, one.wrong)

    def _note(self, work: Round) -> None:
        report = work.audit.report
        self.counts["audits"] += 1
        self.counts["tasks_read"] += report.tasks
        self.counts["suspects"] += report.suspects
        self.counts["unsettled"] += len(report.unsettled)
