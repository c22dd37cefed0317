"""A part of the leader's work: starts with a term, ends with it, and keeps figures of its own.

A part fails alone. What it raises is counted and told, and the next round comes a little later.
Only Deposed ends the term, for all parts.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any, ClassVar, Final

from coordq import clock
from coordq.errors import Deposed
from coordq.runtime.supervisor.term import Term

RETRY_S: Final = 0.5
RETRY_MAX_S: Final = 10.0

_log = logging.getLogger("coordq.supervisor")


class Part:
    """One duty of the leader. A subclass says in `round` what is to be done and when again."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """What was done since the process began; shown by `figures`."""
        self._task: asyncio.Task[None] | None = None
        self._busy_s = 0.0
        self._last_error = ""

    async def round(self, term: Term) -> float:
        """Do what is to be done now; returns how many seconds until the next round."""
        raise NotImplementedError

    def begin(self, term: Term) -> None:
        """Forget what an earlier term knew. Called at each start, before the first round."""

    def start(self, term: Term) -> None:
        """Begin the rounds of a term."""
        self.begin(term)
        self._task = asyncio.create_task(self._rounds(term), name=self.name)

    async def stop(self) -> None:
        """End the rounds; one that is in the middle of a call is broken off."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def figures(self) -> dict[str, Any]:
        """What the part has done, as plain JSON."""
        error = {"last_error": self._last_error} if self._last_error else {}
        return {"busy_s": round(self._busy_s, 3), **self.counts, **error}

    async def _rounds(self, term: Term) -> None:
        failures = 0
        while True:
            began = clock.monotonic()
            try:
                pause_s = await self.round(term)
                failures = 0
            except Deposed as error:
                term.end(f"another supervisor leads: {error}")
                return
            except Exception as error:  # noqa: BLE001 - a part fails alone
                failures += 1
                pause_s = min(RETRY_MAX_S, RETRY_S * 2 ** (failures - 1))
                self._fail(error)
            self._busy_s += clock.monotonic() - began
            self.counts["rounds"] += 1
            await asyncio.sleep(pause_s)

    def _fail(self, error: Exception) -> None:
        self.counts["errors"] += 1
        self._last_error = f"{type(error).__name__}: {error}"
        _log.warning("%s: %s", self.name, self._last_error)
