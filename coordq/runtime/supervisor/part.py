"""A part of the leader's work: starts with a term, ends with it, and keeps figures of its own.

A part fails alone. What it raises is counted and told, and the next round comes a little later.
Only Deposed ends the term, for all parts.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ClassVar, Final

from coordq import clock
from coordq.errors import Deposed, Unreachable
from coordq.runtime.supervisor.term import Term

RETRY_S: Final = 0.5
RETRY_MAX_S: Final = 10.0
AWAY_S: Final = 1.0
"""A Redis that is away is tried again after so long: it is nobody's mistake."""

Work = Callable[[], Awaitable[float]]
"""One round; gives the seconds until the next."""

_log = logging.getLogger("coordq.supervisor")


class Part:
    """One duty of the leader. A subclass says in `round` what is to be done and when again."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """What was done since the process began; shown by `figures`."""
        self._loops: list[asyncio.Task[None]] = []
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
        self._loops = [
            asyncio.create_task(self._repeat(work, term), name=self.name)
            for work in self.works(term)
        ]

    def works(self, term: Term) -> list[Work]:
        """What is done round by round, each at its own pace."""
        return [partial(self.round, term)]

    async def stop(self) -> None:
        """End the rounds; one that is in the middle of a call is broken off."""
        loops, self._loops = self._loops, []
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)

    def figures(self) -> dict[str, Any]:
        """What the part has done, as plain JSON."""
        error = {"last_error": self._last_error} if self._last_error else {}
        return {"busy_s": round(self._busy_s, 3), **self.counts, **error}

    async def _repeat(self, work: Work, term: Term) -> None:
        failures = 0
        while True:
            began = clock.monotonic()
            try:
                pause_s = await work()
                failures = 0
            except Deposed as error:
                term.end(f"another supervisor leads: {error}")
                return
            except Exception as error:  # noqa: BLE001 - a part fails alone
                failures += 1
                longest_s = AWAY_S if isinstance(error, Unreachable) else RETRY_MAX_S
                pause_s = min(longest_s, RETRY_S * 2 ** min(failures - 1, 10))
                self._fail(error, failures)
            self._busy_s += clock.monotonic() - began
            self.counts["rounds"] += 1
            await asyncio.sleep(pause_s * random.uniform(0.95, 1.05) if failures else pause_s)

    def _fail(self, error: Exception, failures: int) -> None:
        self.counts["errors"] += 1
        self._last_error = f"{type(error).__name__}: {error}"
        level = logging.WARNING if failures == 1 else logging.DEBUG
        _log.log(level, "%s: %s", self.name, self._last_error)


class ShardPart(Part):
    """A duty that each shard asks for by itself: one that is away does not hold up the others."""

    async def round_on(self, term: Term, shard: int) -> float:
        """Do what a shard needs now; returns how many seconds until its next round."""
        raise NotImplementedError

    def works(self, term: Term) -> list[Work]:
        """One for each shard."""
        return [partial(self.round_on, term, shard) for shard in range(term.shards)]
