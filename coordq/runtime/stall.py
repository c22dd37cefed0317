"""Notices children whose loop has stopped turning.

Two signals, two decisions: the beat (from the parent) keeps the leases of a blocked child, so its
work is not started twice; the missing tick (from the child) makes it `stalled`, which is reported,
and by policy ends it. A handler that has a timeout and blocks the loop past it ends its child in
any case, because nothing else can.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from coordq import clock
from coordq.runtime.brood import Brood
from coordq.runtime.process import ChildProcess, Phase
from coordq.runtime.worker import WorkerSettings

LOOK_MAX_S: Final = 1.0
LOOK_MIN_S: Final = 0.1
DEAF_S: Final = 1.5
"""A loop that has not turned for so long cannot enforce a timeout."""

_log = logging.getLogger("coordq.worker")

Note = Callable[[ChildProcess, float], None]


class Watch:
    """Looks at the ticks of all children."""

    def __init__(self, settings: WorkerSettings, *, brood: Brood, note: Note) -> None:
        self._settings = settings
        self._brood = brood
        self._note = note
        self._period_s = min(LOOK_MAX_S, max(LOOK_MIN_S, settings.stall_after_s / 4))

    async def run(self) -> None:
        """Look for ever."""
        last = clock.monotonic()
        while True:
            await asyncio.sleep(self._period_s)
            now = clock.monotonic()
            # Who has slept himself (a suspended machine, SIGSTOP) must not judge the sleepers.
            if now - last < self._period_s + LOOK_MAX_S:
                for child in list(self._brood.children):
                    if child.phase in {Phase.SERVING, Phase.LEAVING}:
                        self._look(child)
            last = now

    def _look(self, child: ChildProcess) -> None:
        age_s = child.tick_age_s()
        limit_s = self._settings.stall_after_s
        if child.stalled and age_s < limit_s:
            child.stalled = False
            _log.info("child %d (pid %d) moves again", child.index, child.pid)
        elif not child.stalled and age_s > limit_s:
            child.stalled = True
            self._report(child, age_s)
        if age_s > limit_s * 2 and self._settings.stall_policy == "kill":
            _log.error("child %d (pid %d) is killed: it does not move", child.index, child.pid)
            child.kill()
        elif age_s > DEAF_S:
            self._enforce(child)

    def _report(self, child: ChildProcess, age_s: float) -> None:
        held = [one.member.partition("|")[0] for one in child.held()]
        _log.warning(
            "child %d (pid %d) is stalled: its loop has not turned for %.1f s; it holds %s",
            child.index,
            child.pid,
            age_s,
            ", ".join(held[:5]) or "nothing",
        )
        self._note(child, age_s)

    def _enforce(self, child: ChildProcess) -> None:
        now_ns = clock.monotonic() * 1e9
        overdue = [one for one in child.held() if 0 < one.deadline_ns < now_ns]
        if overdue:
            _log.error(
                "child %d (pid %d) is killed: task %s is past its timeout and blocks it",
                child.index,
                child.pid,
                overdue[0].member.partition("|")[0],
            )
            child.kill(frozenset(one.member for one in overdue))
