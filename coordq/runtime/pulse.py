"""The parent's heartbeat: one round trip per shard and beat keeps every lease of the worker.

Most beats are brief, plain commands; a full one tells and learns the rest (`cadence`). They come
from the parent because a child cannot be trusted with them: a handler that blocks the loop, or a C
extension that keeps the interpreter's lock, would silence a process that is well.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from coordq import clock
from coordq.engine import keys
from coordq.engine.aio import AsyncEngine, Line
from coordq.errors import CoordqError
from coordq.ids import shard_of
from coordq.runtime.brood import Brood
from coordq.runtime.cadence import Cadence, Kind
from coordq.runtime.ledger import Held
from coordq.runtime.process import ChildProcess
from coordq.runtime.worker import WorkerSettings
from coordq.work.beat import Beaten, Pulse, beat, brief, leave, read_brief, reap

CHUNK: Final = 500
REAP_LIMIT: Final = 100
REAPS_MAX: Final = 50
RETRY_S: Final = 0.3
LEAVE_S: Final = 1.0
COUNTERS: Final = frozenset(
    ("running", "succeeded", "failed", "held_ms", "worked_ms", "waits", "runs", "by_agent")
)
"""What Redis may learn a few seconds late. Whatever else changes in the info makes a beat full."""

_log = logging.getLogger("coordq.worker")

Info = Callable[[], dict[str, Any]]
Holders = Sequence[tuple[ChildProcess, Held]]


class Heart:
    """Beats for one worker."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        worker: str,
        settings: WorkerSettings,
        brood: Brood,
        info: Info,
    ) -> None:
        self._engine = engine
        self._worker = worker
        self._settings = settings
        self._brood = brood
        self._info = info
        self.incarnation = 1
        """How often the worker has come into the fleet: it is new when it was taken for dead."""
        self.lost = 0
        """How many claims were taken from it."""
        self._sent: dict[int, bytes] = {}
        self._state: dict[int, dict[str, Any]] = {}
        self._known_as: dict[int, int] = {}
        self._missing: dict[int, set[str]] = {}
        self._confirmed_ns = [0] * engine.shards
        self._silent: set[int] = set()
        self._cadences = [
            Cadence(beat_s=settings.beat_s, lease_s=settings.lease_s) for _ in range(engine.shards)
        ]
        self._soon = [asyncio.Event() for _ in range(engine.shards)]
        self._patience_s = max(1.0, settings.lease_s / 3)

    def silent_s(self) -> float:
        """How long ago the least lucky shard answered a beat; infinite before the first."""
        return clock.monotonic() - min(self._confirmed_ns) / 1e9

    async def first(self) -> None:
        """Be known on every shard before the first child claims."""
        for shard in range(self._engine.shards):
            moment_ns = int(clock.monotonic() * 1e9)
            line = await self._engine.dedicated(shard)
            await self._call(line, shard, ())
            await line.close()
            self._confirm(shard, moment_ns)

    async def beat(self, shard: int) -> None:
        """Beat on one shard for ever."""
        line, cadence = await self._engine.dedicated(shard), self._cadences[shard]
        try:
            while True:
                began = clock.monotonic()
                pause_s = self._settings.beat_s if await self._once(line, shard) else RETRY_S
                now = clock.monotonic()
                left_s = (pause_s + began - now) * random.uniform(0.98, 1.02)
                # who lapses before the next beat is taken back by one that comes early
                await self._pause(shard, max(0.01, min(left_s, cadence.lapse_s - now)))
        finally:
            await line.close()

    async def _pause(self, shard: int, most_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                await self._soon[shard].wait()
        if self._soon[shard].is_set():
            self._soon[shard].clear()
            self._cadences[shard].interrupt()

    def hurry(self) -> None:
        """Beat now, and fully: there is something to tell that others wait for."""
        for soon in self._soon:
            soon.set()

    async def _once(self, line: Line, shard: int) -> bool:
        holders = [
            (child, held)
            for child in self._brood.children
            for held in child.held()
            if shard_of(held.member) == shard
        ]
        try:
            async with asyncio.timeout(self._patience_s):
                if not await self._briefly(line, shard, holders):
                    await self._fully(line, shard, holders)
        except (CoordqError, TimeoutError) as error:
            self._cadences[shard].interrupt()
            self._lost(shard, error)
            return False
        self._found(shard)
        return True

    async def _briefly(self, line: Line, shard: int, holders: Holders) -> bool:
        """Beat without the script, where that will do; false when a full beat is due instead."""
        cadence, began = self._cadences[shard], clock.monotonic()
        kind = cadence.next(began)
        if kind is Kind.FULL or len(holders) > CHUNK:
            return False
        facts = self._info()
        if _state_in(facts) != self._state.get(shard):
            return False
        look = kind is Kind.LOOK
        told = _packed(facts) if look else b""
        news = told if told != self._sent.get(shard) else b""
        members = tuple(held.member for _, held in holders)
        pulse = Pulse(self._worker, members, news, self._settings.lease_ms)
        root, now_ms = keys.root(self._engine.namespace, shard), cadence.redis_ms(began)
        lag_s = cadence.lag_s
        replies = await line.attempt(*brief(root, pulse, now_ms, look=look))
        heard_s, answer = clock.monotonic(), read_brief(pulse, replies)
        if not answer.well:
            return False
        if answer.looked:
            self._sent[shard], cadence.lapse_s = told, _soon(answer.lapse_in_ms)
            cadence.looked(sent_s=began, heard_s=heard_s, now_ms=answer.now_ms)
        else:
            cadence.kept(sent_s=began)
        if answer.short:
            cadence.interrupt()
        # the leases count from the moment that was sent, which may be so much behind
        self._confirm(shard, int((began - lag_s) * 1e9))
        return True

    async def _fully(self, line: Line, shard: int, holders: Holders) -> None:
        """All claims, in as many calls as it takes. Confirmed is what the first call began with."""
        cadence, began = self._cadences[shard], clock.monotonic()
        cadence.lapse_s = math.inf
        missing: set[str] = set()
        for first in range(0, max(1, len(holders)), CHUNK):
            chunk = holders[first : first + CHUNK]
            sent_s = clock.monotonic()
            beaten = await self._call(line, shard, tuple(held.member for _, held in chunk))
            heard_s = clock.monotonic()
            _pass_on(chunk, beaten)
            missing.update(beaten.lost)
        self._mourn(shard, missing)
        self._confirm(shard, int(began * 1e9))
        cadence.full(sent_s=sent_s, heard_s=heard_s, now_ms=beaten.now_ms)
        cadence.lapse_s = _soon(beaten.lapse_in_ms)
        if beaten.lapsed:
            await self._reap(line, shard)

    async def _call(self, line: Line, shard: int, members: tuple[str, ...]) -> Beaten:
        facts = self._info()
        info = _packed(facts)
        news = b"" if self._sent.get(shard) == info else info
        incarnation = self.incarnation
        joins = self._known_as.get(shard) != incarnation
        pulse = Pulse(self._worker, members, news, self._settings.lease_ms, joins=joins)
        beaten = await line.run(beat(shard, pulse))
        if beaten.known:
            self._sent[shard], self._known_as[shard] = info, incarnation
            self._state[shard] = _state_in(facts)
        else:
            self._come_back(shard)
        return beaten

    def _come_back(self, shard: int) -> None:
        """Redis does not know the worker any more: it was given up.

        So it joins at once, as a new incarnation. That grows once, however many shards have
        forgotten the worker.
        """
        if self._known_as.get(shard) == self.incarnation:
            self.incarnation += 1
            _log.warning("taken for dead meanwhile: goes on as incarnation %d", self.incarnation)
        for known in (self._sent, self._state, self._known_as):
            known.pop(shard, None)
        self._soon[shard].set()

    def _mourn(self, shard: int, missing: set[str]) -> None:
        """Count each lost claim once, though it is told until its handler has stopped."""
        self.lost += len(missing - self._missing.get(shard, set()))
        self._missing[shard] = missing

    def _confirm(self, shard: int, moment_ns: int) -> None:
        self._confirmed_ns[shard] = moment_ns
        self._brood.confirm(shard, moment_ns)

    async def _reap(self, line: Line, shard: int) -> None:
        for _ in range(REAPS_MAX):
            reaped = await line.run(reap(shard, limit=REAP_LIMIT))
            if reaped.amount:
                _log.warning("took back %d claims whose lease had run out", reaped.amount)
            self._cadences[shard].lapse_s = _soon(reaped.lapse_in_ms)
            if reaped.amount < REAP_LIMIT:
                return

    def _lost(self, shard: int, error: Exception) -> None:
        if shard not in self._silent:
            self._silent.add(shard)
            why = str(error) or "no answer in time"
            _log.warning("Redis does not answer (shard %d), running tasks go on: %s", shard, why)

    def _found(self, shard: int) -> None:
        if shard in self._silent:
            self._silent.discard(shard)
            _log.info("Redis answers again (shard %d)", shard)

    async def leave(self) -> None:
        """Say good-bye, if Redis is there to hear it."""
        try:
            async with asyncio.timeout(LEAVE_S):
                for shard in range(self._engine.shards):
                    await self._engine.run(leave(shard, self._worker))
        except (CoordqError, TimeoutError) as error:
            _log.warning("left without a good-bye: %s", str(error) or "Redis did not answer")


def _soon(lapse_in_ms: int | None) -> float:
    """When to look for a claim that is about to lapse: a little late, and not all at once."""
    if lapse_in_ms is None:
        return math.inf
    return clock.monotonic() + max(0, lapse_in_ms) / 1000 + random.uniform(0.02, 0.2)


def _packed(info: dict[str, Any]) -> bytes:
    return json.dumps(info, separators=(",", ":")).encode()


def _state_in(info: dict[str, Any]) -> dict[str, Any]:
    """What others act on, of what the worker says of itself."""
    state = {name: fact for name, fact in info.items() if name not in COUNTERS}
    state["children"] = [{**child, "running": 0} for child in info["children"]]
    return state


def _pass_on(holders: Holders, beaten: Beaten) -> None:
    """Tell the children which of their handlers to stop."""
    if not beaten.lost and not beaten.cancelled:
        return
    by_member = {held.member: (child, held) for child, held in holders}
    for reason, members in (("lost", beaten.lost), ("cancelled", beaten.cancelled)):
        for member in members:
            child, held = by_member[member]
            child.cancel(held, reason)
