"""What a spawner says to Redis, and asks it."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from coordq.engine.aio import AsyncEngine
from coordq.errors import Conflict, CoordqError
from coordq.fleet.election import standing
from coordq.fleet.roster import forget
from coordq.fleet.spawners import TTL_MS, Facts, answer, delist, enlist
from coordq.runtime.insist import insist
from coordq.work import queue as queues
from coordq.work.beat import bury
from coordq.work.events import note
from coordq.work.queue import Overview

BEAT_S: Final = 2.0
RETRY_S: Final = 0.5
FAREWELL_S: Final = 1.0

_log = logging.getLogger("coordq.spawner")


class Envoy:
    """Speaks for one spawner. `info` is asked for its status."""

    def __init__(
        self, engine: AsyncEngine, *, name: str, instance: str, info: Callable[[], Facts]
    ) -> None:
        self._engine = engine
        self._name = name
        self._instance = instance
        self._info = info
        self._soon = asyncio.Event()
        self._silent = False
        self._side: set[asyncio.Task[Any]] = set()

    # -- being known ---------------------------------------------------------------------------

    async def introduce(self) -> None:
        """Take the name. Raises Conflict when another spawner that runs has it."""
        former, waits_s = "", 0.0
        while (holder := await self._engine.run(self._enlist(former))) is not None:
            if _is_dead(holder):
                former = str(holder.get("instance", ""))
            elif _is_here(holder) or waits_s * 1000 > TTL_MS:
                where = f"on {holder.get('host')}, pid {holder.get('pid')}"
                raise Conflict(
                    f"A fleet called {self._name!r} runs already, {where}. End it with "
                    f"coordq fleet down --name {self._name}, or give this one another --name.",
                    fleet=self._name,
                )
            else:
                if not waits_s:
                    _log.info("waiting: the name was in use on %s a moment ago", holder.get("host"))
                await asyncio.sleep(RETRY_S)
                waits_s += RETRY_S

    def _enlist(self, former: str = "") -> Any:
        return enlist(self._name, self._info(), instance=self._instance, former=former)

    async def renew(self) -> None:
        """Say that we run, again and again, and at once when something has changed."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S * random.uniform(0.9, 1.1)):
                    await self._soon.wait()
            self._soon.clear()
            try:
                holder = await self._engine.run(self._enlist())
            except CoordqError as error:
                self._lost(error)
                await asyncio.sleep(RETRY_S)
                continue
            if self._silent:
                self._silent = False
                _log.info("Redis answers again")
            if holder is not None:
                _log.error("another spawner took the name, on %s: end one", holder.get("host"))

    def hurry(self) -> None:
        """There is something new to say of us."""
        self._soon.set()

    def _lost(self, error: CoordqError) -> None:
        if not self._silent:
            self._silent = True
            _log.warning("Redis does not answer, workers go on: %s", error)

    async def farewell(self) -> None:
        """Say good-bye, if Redis is there to hear it."""
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._engine.run(delist(self._name, instance=self._instance))
        except (CoordqError, TimeoutError) as error:
            _log.warning("left without a good-bye: %s", str(error) or "Redis did not answer")

    # -- seeing --------------------------------------------------------------------------------

    async def look(self) -> Overview | None:
        """Queues and workers at a glance; None when Redis does not answer."""
        try:
            parts = [
                await self._engine.run(queues.overview(shard))
                for shard in range(self._engine.shards)
            ]
        except CoordqError as error:
            self._lost(error)
            return None
        return queues.merge(parts)

    async def supervisors(self) -> list[str]:
        """The names of those that were heard lately."""
        with suppress(CoordqError):
            return [one.name for one in (await self._engine.run(standing())).supervisors]
        return []

    # -- saying --------------------------------------------------------------------------------

    def tell(self, subject: str, kind: str, detail: str) -> None:
        """Put an event on the stream, as soon as Redis is there."""
        self.aside(insist(self._engine, note(0, subject, kind, detail), log=_log))

    async def bury(self, worker: str, *, reason: str) -> int:
        """Give back all claims of a worker whose processes have ended; how many there were."""
        total = 0
        for shard in range(self._engine.shards):
            cursor: int | None = 0
            while cursor is not None:
                call = bury(shard, worker, cursor=cursor, reason=reason)
                page = await insist(self._engine, call, log=_log)
                total += 0 if page is None else page.amount
                cursor = page.cursor if page is not None and page.cursor else None
            # not silent but dead: the detector has nothing to find out, and no majority to fear for
            await insist(self._engine, forget(shard, worker, 0), log=_log)
        return total

    async def answer(self, order_id: str, message: Facts) -> None:
        """Tell who gave an order what becomes of it. Not insisted on: nobody may be waiting."""
        try:
            await self._engine.run(answer(order_id, message))
        except CoordqError as error:
            self._lost(error)

    def aside(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something without waiting for it."""
        task = asyncio.create_task(work)
        self._side.add(task)
        task.add_done_callback(self._side.discard)

    async def settled(self, timeout_s: float) -> None:
        """Wait until what was begun aside is done, but not for ever."""
        if self._side:
            await asyncio.wait(self._side, timeout=timeout_s)


def _is_here(holder: Facts) -> bool:
    return bool(holder.get("host") == os.uname().nodename)


def _is_dead(holder: Facts) -> bool:
    """Whether it ran on this machine and is no more; a process with our number was our former life.

    A container that is started again has the same name and the same numbers.
    """
    pid = holder.get("pid")
    if not _is_here(holder) or not isinstance(pid, int):
        return False
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
