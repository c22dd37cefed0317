"""Claims in, outcomes out: what one child does with one shard.

A lane has three askers, each with a connection and a claimant name of its own:

- *wake*, `<worker>/<child>.<generation>:a`, blocks on the markers while slots are free, and claims;
- *work*, twice, `...:b` and `...:c`, commits outcomes and claims as many tasks as it commits, in
  the same round trip.

While a commit is on its way outcomes pile up; the next takes all of them. So it is immediate when
little happens and batched under load, without a timer. There are two because a Redis that works on
one batch would otherwise wait while the child runs the next.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from coordq import clock
from coordq.engine import keys
from coordq.engine.aio import AsyncEngine, Line
from coordq.errors import CoordqError, InvalidArguments, PayloadTooLarge, ScriptMisuse
from coordq.runtime.hands import Hands, error_json
from coordq.runtime.ledger import Ledger
from coordq.runtime.limits import Limits
from coordq.runtime.menu import Menu
from coordq.runtime.slots import Hold, Slots
from coordq.runtime.worker import ASKERS
from coordq.work.claim import Ask, Claimed, claim, read_route, routes_key
from coordq.work.finish import OUTCOMES_MAX, Finished, Outcome, finish

BLOCK_S: Final = 6.0
"""Marks are hints: a worker makes one claim in so many seconds without, whichever child does."""
BLOCK_MAX_S: Final = 24.0
"""So long a child blocks at most: a connection that died silently is not noticed before."""
PAUSE_S: Final = 1.0
"""After a refusal, at most."""
LAST_CLAIM_S: Final = 2.0
SPLIT_MIN: Final = 8
"""A batch that is not worth to be shared by two askers."""
CHECK_S: Final = 0.2
"""How soon to look again whether claiming is allowed."""

_log = logging.getLogger("coordq.worker")


@dataclass(slots=True)
class Bench:
    """What the lanes of a child share."""

    engine: AsyncEngine
    ledger: Ledger
    slots: Slots
    hands: Hands
    limits: Limits
    claimant: str
    """`<worker>/<child>.<generation>`"""
    lease_ms: int
    chunk: int
    """How many the wake asker claims at most: a part of a child, so that a burst is shared."""
    siblings: int
    """How many children the worker has, this one included."""
    on_start: Callable[[], None]
    """Called when tasks were started."""

    def unconfirmed_s(self, shard: int) -> float:
        """For how many seconds the parent has had no answer from a shard."""
        return clock.monotonic() - self.ledger.confirmed_ns(shard) / 1e9


class Lane:
    """One shard's claims and outcomes. `start` it, `drain` it, `close` it."""

    def __init__(self, shard: int, *, bench: Bench, menu: Menu) -> None:
        self.shard = shard
        self._bench = bench
        self._slots = bench.slots
        self._menu = menu
        self._root = keys.root(bench.engine.namespace, shard)
        self._open = True
        self._calling = False
        self._troubled = False
        self._nonce = 0
        self._outcomes: list[tuple[Hold, Outcome]] = []
        self._idle: list[asyncio.Future[None]] = []
        self._roused = False
        self._nudged = False
        self._probes: list[asyncio.Future[int]] = []
        self._due: asyncio.TimerHandle | None = None
        self._lines: list[Line] = []
        self._tasks: list[asyncio.Task[None]] = []

    # -- life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to claim."""
        self._lines = [await self._bench.engine.dedicated(self.shard) for _ in ASKERS]
        wake, *workers = self._lines
        self._tasks = [asyncio.create_task(self._wake(wake))]
        for asker, line in zip(ASKERS[1:], workers, strict=True):
            self._tasks.append(asyncio.create_task(self._work(line, asker)))

    def drain(self) -> None:
        """Claim nothing more. A claim on its way is let through, so that none goes astray."""
        self._open = False
        if self._due is not None:
            self._due.cancel()
        if self._tasks and not self._calling:
            self._tasks[0].cancel()

    async def closed(self) -> bool:
        """Wait, after `drain`, until no claim is on its way any more.

        False when Redis did not answer the last one in time: it may have been granted unseen.
        """
        _, late = await asyncio.wait(self._tasks[:1], timeout=LAST_CLAIM_S)
        for task in late:
            task.cancel()
        return not late

    async def close(self) -> None:
        """Stop at once and hang up. What is still held stays in the ledger."""
        self.drain()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for line in self._lines:
            await line.close()

    # -- asking --------------------------------------------------------------------------------

    def _ask(self, asker: str, want: int) -> Ask:
        self._nonce += 1
        name, menu = f"{self._bench.claimant}:{asker}", self._menu
        return Ask(name, str(self._nonce), want, menu.order, menu.served, self._bench.lease_ms)

    def _may_claim(self) -> bool:
        """No new work without an answer to a beat within half a lease: we may be cut off."""
        return self._open and self._bench.unconfirmed_s(self.shard) <= self._bench.lease_ms / 2000

    async def _wake(self, line: Line) -> None:
        while self._open:
            await self._slots.room()
            wanted = self._bench.limits.room(self._bench.chunk, started=self._bench.hands.started)
            if wanted <= 0 or not self._may_claim():
                await asyncio.sleep(CHECK_S)
                continue
            try:
                if not await self._claim(line, wanted):
                    await self._block(line)
                self._troubled = False
            except CoordqError as error:
                await self._complain("claiming", error)

    async def _claim(self, line: Line, wanted: int) -> bool:
        """Claim up to `wanted`; true when asking again at once is worth while."""
        reserved = self._slots.reserve(wanted)
        if not reserved:
            return True
        self._calling = True
        try:
            claimed = await line.run(claim(self.shard, self._ask("a", reserved)))
        finally:
            self._calling = False
            self._slots.unreserve(reserved)
        self._absorb(claimed)
        if claimed.routes_version != self._menu.routes_version:
            await self._learn(line, claimed.routes_version)
            return True
        return claimed.more

    async def _learn(self, line: Line, version: int) -> None:
        members = await line.execute("SMEMBERS", routes_key(self._root))
        self._menu.learn(map(read_route, members), version=version)

    async def _block(self, line: Line) -> None:
        """Wait for a mark. The marks of a busy time are stale, and each costs one empty claim."""
        if self._open:
            marks = self._menu.markers(self._root)
            most_s = min(BLOCK_MAX_S, BLOCK_S * self._bench.siblings)
            await line.block("BZPOPMIN", *marks, timeout_s=most_s * random.uniform(0.9, 1.0))

    async def _complain(self, what: str, error: CoordqError) -> None:
        """Say once that Redis refuses us, and wait a little."""
        if not self._troubled:
            _log.error("%s is refused: %s", what, error)
        self._troubled = True
        await asyncio.sleep(PAUSE_S * random.uniform(0.5, 1.0))

    # -- due moments and probes ----------------------------------------------------------------

    def _watch_clock(self, next_due_ms: int | None) -> None:
        """Claim when the next delayed task is due: a wake asker that blocks cannot know."""
        if next_due_ms is None or not self._open:
            return
        loop = asyncio.get_running_loop()
        moment = loop.time() + next_due_ms / 1000 + 0.001
        if self._due is not None:
            if self._due.when() <= moment:
                return
            self._due.cancel()
        self._due = loop.call_at(moment, self._on_due)

    def _on_due(self) -> None:
        self._due = None
        self._nudge()

    def _nudge(self) -> None:
        self._nudged = True
        self._rouse()

    async def probe(self) -> int:
        """Claim now, and say how many tasks that brought; -1 when nothing could be asked."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._probes.append(answer)
        self._rouse()
        return await answer

    # -- committing ----------------------------------------------------------------------------

    def deliver(self, hold: Hold, outcome: Outcome) -> None:
        """Queue the outcome of a claim for the next commit."""
        self._outcomes.append((hold, outcome))
        if not self._roused:
            self._rouse()

    def _rouse(self) -> None:
        """Wake one work asker; it wakes the other if it leaves something to do."""
        while self._idle:
            idle = self._idle.pop()
            if not idle.done():  # cancelled, when the lane is closed
                self._roused = True
                idle.set_result(None)
                return

    async def _work(self, line: Line, asker: str) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while self._outcomes or self._nudged or self._probes:
                await self._round(line, asker)
            idle = loop.create_future()
            self._idle.append(idle)
            await idle

    def _take(self) -> list[tuple[Hold, Outcome]]:
        """The outcomes of the next call: all there are, or half of what is held."""
        most = min(OUTCOMES_MAX, max(SPLIT_MIN, (len(self._slots.held) + 1) // 2))
        batch = self._outcomes[:most]
        del self._outcomes[:most]
        self._roused = False
        if self._outcomes:
            self._rouse()
        return batch

    async def _round(self, line: Line, asker: str) -> None:
        """One call: outcomes, and as many claims."""
        batch = self._take()
        probes, self._probes = self._probes, []
        extra = self._slots.reserve(self._bench.chunk) if self._nudged or probes else 0
        want = self._wanted_now(len(batch) + extra)
        self._nudged = False
        finished = None
        try:
            if batch or want:
                ask = self._ask(asker, want) if want else None
                finished = await self._commit(line, batch, ask)
        finally:
            self._slots.unreserve(extra)
        self._give_back(batch, finished)
        claims = self._absorb(finished.claimed) if finished is not None and want else -1
        if finished is not None and want:
            version = finished.claimed.routes_version
            if version != self._menu.routes_version:
                await self._learn(line, version)
        self._slots.settle()
        for answer in probes:
            if not answer.done():
                answer.set_result(claims)

    def _wanted_now(self, amount: int) -> int:
        if not amount or not self._may_claim():
            return 0
        return self._bench.limits.room(amount, started=self._bench.hands.started)

    async def _commit(
        self, line: Line, batch: list[tuple[Hold, Outcome]], ask: Ask | None
    ) -> Finished | None:
        """Send outcomes until Redis has taken them; None when that did not work at once."""
        outcomes = [outcome for _, outcome in batch]
        try:
            return await line.run(finish(self.shard, outcomes, ask))
        except CoordqError as error:
            await self._complain("finishing", error)
        for outcome in outcomes:
            await self._commit_alone(line, outcome)
        self._troubled = False
        return None

    async def _commit_alone(self, line: Line, outcome: Outcome) -> None:
        """Send one outcome. One that cannot be sent at all becomes a failure that says so."""
        while True:
            try:
                await line.run(finish(self.shard, [outcome]))
            except (ScriptMisuse, InvalidArguments, PayloadTooLarge) as error:
                if outcome.kind == "failed":
                    _log.exception("the outcome of task %s cannot be reported", outcome.id)
                    return
                body = error_json(error, "unreportable")
                outcome = Outcome("failed", outcome.id, outcome.fence, body)
            except CoordqError as error:
                await self._complain("finishing", error)
            else:
                return

    def _give_back(self, batch: list[tuple[Hold, Outcome]], finished: Finished | None) -> None:
        for hold, _ in batch:
            self._slots.give_back(hold)
        if finished is None or "stale" not in finished.verdicts:
            return
        for (hold, _), verdict in zip(batch, finished.verdicts, strict=True):
            if verdict == "stale":
                _log.warning(
                    "task %s (%s): its outcome was refused, the claim is no longer ours",
                    hold.claim.id,
                    hold.claim.name,
                )

    def _absorb(self, claimed: Claimed) -> int:
        """Start what was claimed; returns how many."""
        hands = self._bench.hands
        begin = hands.start if self._open else hands.decline
        for granted in claimed.claims:
            begin(granted, self.deliver)
        self._watch_clock(claimed.next_due_ms)
        amount = len(claimed.claims)
        if amount:
            hands.watch.waited(claimed.claims, claimed.granted_ms)
            self._slots.settle()
            self._bench.on_start()
            if claimed.more and self._open and self._slots.free:
                self._nudge()
        return amount
