"""Carries progress and log lines of running tasks to Redis, off the handlers' hands.

Handlers call `progress` and `log` from the loop or from threads; nothing waits. What was said is
sent five times a second at most, and in any case before the task's outcome: Redis takes a report
only from whoever still holds the claim.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from functools import partial
from threading import Lock
from typing import Any, Final

from coordq.engine.aio import AsyncEngine
from coordq.errors import CoordqError
from coordq.work.progress import Progress
from coordq.work.report import LINES_MAX, report

FLUSH_S: Final = 0.2
KEPT_MAX: Final = 1000
"""Lines of one task that wait to be sent; the oldest give way. Redis keeps no more either."""

_log = logging.getLogger("coordq.worker")


class _Said:
    __slots__ = ("lines", "progress")

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=KEPT_MAX)
        self.progress: dict[str, Any] | None = None


class Reporter:
    """What one child's handlers have said and Redis does not know yet."""

    def __init__(self, engine: AsyncEngine, loop: asyncio.AbstractEventLoop) -> None:
        self._engine = engine
        self._loop = loop
        self._said: dict[str, _Said] = {}
        self._lock = Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._sending: dict[str, asyncio.Task[None]] = {}

    def progress(self, claim: Any, progress: Progress, /) -> None:
        """Note how far a task is; the last word wins. From any thread."""
        with self._lock:
            self._of(claim.member).progress = progress.to_json()

    def log(self, claim: Any, line: str, /) -> None:
        """Note a line. From any thread."""
        with self._lock:
            self._of(claim.member).lines.append(line)

    def _of(self, member: str) -> _Said:
        said = self._said.get(member)
        if said is None:
            if not self._said:
                self._loop.call_soon_threadsafe(self._arm)
            said = self._said[member] = _Said()
        return said

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(FLUSH_S, self._flush_all)

    def _flush_all(self) -> None:
        self._timer = None
        for member in list(self._said):
            if member not in self._sending:
                task = self._loop.create_task(self._send(member))
                self._sending[member] = task
                task.add_done_callback(partial(self._sent, member))

    def _sent(self, member: str, _: asyncio.Task[None]) -> None:
        self._sending.pop(member, None)

    def pending(self, member: str) -> bool:
        """Whether something of this task is not with Redis yet."""
        return member in self._said or member in self._sending

    async def flush(self, member: str) -> None:
        """Send what is left of a task; returns when Redis has it, or has refused it."""
        if (sending := self._sending.get(member)) is not None:
            await asyncio.wait([sending])
        await self._send(member)

    async def _send(self, member: str) -> None:
        with self._lock:
            said = self._said.pop(member, None)
        if said is None:
            return
        lines = list(said.lines)
        progress = said.progress
        try:
            for first in range(0, max(1, len(lines)), LINES_MAX):
                chunk = lines[first : first + LINES_MAX]
                await self._engine.run(report(member, progress=progress, lines=chunk))
                progress = None
        except CoordqError as error:
            _log.warning("what task %s reported is lost: %s", member.partition("|")[0], error)
