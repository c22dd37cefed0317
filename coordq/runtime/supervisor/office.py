"""The office: campaigns, holds it while it can be confirmed, and lets go of it in time.

Who leads must know by itself when it leads no more. A renewal counts from the moment before it was
sent, on a clock that runs on while the process is stopped; when the lease has passed since then,
the term is over, whatever Redis would say. What slips through that, scripts refuse by the epoch.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from coordq import clock
from coordq.engine import keys
from coordq.engine.aio import AsyncEngine, Line
from coordq.errors import CoordqError, Deposed
from coordq.fleet.election import Answer, Candidate, Leader, campaign, inaugurate, resign
from coordq.runtime.loops import Loops
from coordq.runtime.supervisor.term import Term

RENEWALS: Final = 4
"""How often a lease is renewed."""
PATIENCE_LEASES: Final = 0.4
"""A renewal without an answer is sent anew after so much of a lease."""
RETRY_S: Final = 0.2
LATE_S: Final = 0.02
"""How long after the end of a lease those in waiting ask again."""
RESIGN_S: Final = 1.0

_log = logging.getLogger("coordq.supervisor")


class Holder(Protocol):
    """What begins and ends with a term."""

    async def begin(self, term: Term) -> None:
        """The term has begun: every shard knows its epoch."""

    async def end(self, term: Term) -> None:
        """The term is over."""


class Office:
    """One supervisor's way in and out of office."""

    def __init__(self, engine: AsyncEngine, *, candidate: Candidate, holder: Holder) -> None:
        self.leader: Leader | None = None
        """Who leads, as far as we know."""
        self.term: Term | None = None
        """Ours, while it lasts."""
        self._engine = engine
        self._candidate = candidate
        self._holder = holder
        self._lease_s = candidate.lease_ms / 1000
        self._floor = 0
        self._answered_at = clock.monotonic()
        self._silent = False

    def silent_s(self) -> float:
        """How long ago Redis answered a campaign."""
        return clock.monotonic() - self._answered_at

    async def run(self) -> None:
        """Campaign for ever, and lead while it can be done."""
        line = await self._engine.dedicated(0)
        try:
            while True:
                asked_at = clock.monotonic()
                answer = await self._ask(line)
                if answer is None:
                    await _a_moment()
                elif answer.leads:
                    await self._lead(line, answer.leader, asked_at)
                    await _a_moment()  # whatever ended it may end the next one as fast
                else:
                    await self._wait(line, answer.leader)
        finally:
            await line.close()

    async def leave(self) -> None:
        """Hand over, if Redis is there to hear it."""
        try:
            async with asyncio.timeout(RESIGN_S):
                led = await self._engine.run(resign(self._candidate.name))
        except (CoordqError, TimeoutError) as error:
            _log.warning("left without a good-bye: %s", str(error) or "Redis did not answer")
        else:
            if led:
                _log.info("resigned: another may lead at once")

    # -- waiting -------------------------------------------------------------------------------

    async def _ask(self, line: Line, *, within_s: float | None = None) -> Answer | None:
        """The answer to a campaign; None when there was none in time."""
        patience_s = max(1.0, self._lease_s * PATIENCE_LEASES) if within_s is None else within_s
        try:
            async with asyncio.timeout(patience_s):
                answer = await line.run(campaign(self._candidate_now(), floor=self._floor))
        except (CoordqError, TimeoutError) as error:
            self._lost(error)
            return None
        self._found()
        if not answer.leads:
            self._floor = max(self._floor, answer.leader.epoch)
            self._note(answer.leader)
        return answer

    def _candidate_now(self) -> Candidate:
        """With what our clock says: Redis notes when it heard it, and `coordq doctor` compares."""
        info = {**self._candidate.info, "clock_ms": clock.now_ms()}
        return replace(self._candidate, info=info)

    async def _wait(self, line: Line, leader: Leader) -> None:
        """Until the leader resigns, or its lease may have ended."""
        wait_s = min(leader.left_ms / 1000 + LATE_S, self._lease_s)
        key = keys.handover(keys.root(self._engine.namespace, 0))
        try:
            async with asyncio.timeout(wait_s + 1):
                await line.block("BLPOP", key, timeout_s=wait_s)
        except (CoordqError, TimeoutError) as error:
            self._lost(error)
            await _a_moment()

    def _note(self, leader: Leader) -> None:
        """Tell who leads when it is someone else than before."""
        known, self.leader = self.leader, leader
        if known is not None and known.epoch == leader.epoch:
            return
        _log.info("stand-by: %s leads with epoch %d", leader.name, leader.epoch)
        for name, ours in self._candidate.settings.items():
            if name in leader.settings and leader.settings[name] != ours:
                _log.warning(
                    "the leader's settings count: %s is %s there, %s here",
                    name,
                    leader.settings[name],
                    ours,
                )

    def _lost(self, error: Exception) -> None:
        if not self._silent:
            self._silent = True
            _log.warning("Redis does not answer: %s", str(error) or "no answer in time")

    def _found(self) -> None:
        self._answered_at = clock.monotonic()
        if self._silent:
            self._silent = False
            _log.info("Redis answers again")

    # -- leading -------------------------------------------------------------------------------

    async def _lead(self, line: Line, leader: Leader, asked_at: float) -> None:
        """From an election to the end of the term."""
        term = Term(self._engine, name=leader.name, epoch=leader.epoch)
        self.term, self.leader = term, leader
        _log.info("leads with epoch %d", term.epoch)
        loops = Loops(partial(_on_failure, term))
        loops.go(self._hold(line, term, asked_at))
        loops.go(self._serve(term))
        try:
            await term.over()
            _log.warning("leads no more: %s", term.reason)
        finally:
            self.term = None
            self._floor = max(self._floor, term.epoch)
            await loops.end()
            await self._holder.end(term)

    async def _hold(self, line: Line, term: Term, confirmed_at: float) -> None:
        """Renew the lease; end the term when that cannot be done in time."""
        self._floor = term.epoch - 1
        pause_s = self._lease_s / RENEWALS
        while True:
            left_s = confirmed_at + self._lease_s - clock.monotonic()
            await asyncio.sleep(min(pause_s * random.uniform(0.9, 1), max(0, left_s)))
            asked_at = clock.monotonic()
            left_s = confirmed_at + self._lease_s - asked_at
            if left_s <= 0:
                break
            answer = await self._ask(line, within_s=min(left_s, self._lease_s * PATIENCE_LEASES))
            if answer is None:
                pause_s = min(RETRY_S, self._lease_s / 10)
            elif answer.leads and answer.leader.epoch == term.epoch:
                self.leader, confirmed_at = answer.leader, asked_at
                pause_s = self._lease_s / RENEWALS
            else:
                leader = answer.leader
                term.end(f"{leader.name} was elected with epoch {leader.epoch}")
                return
        term.end(f"Redis has not confirmed it for {self._lease_s:g} s")

    async def _serve(self, term: Term) -> None:
        """Let every shard know, then begin.

        A shard that is away is waited for one lease, then told when it is back: until then nobody
        can write there, and the first write of a part makes the epoch known as well.
        """
        async with asyncio.TaskGroup() as group:
            known = [
                group.create_task(self._make_known(term, shard)) for shard in range(term.shards)
            ]
            await asyncio.wait(known, timeout=self._lease_s)
            if not term.reason:
                await self._holder.begin(term)

    async def _make_known(self, term: Term, shard: int) -> None:
        while True:
            try:
                await term.run(inaugurate(shard, term.epoch))
            except Deposed as error:
                self._floor = max(self._floor, error.epoch)
                term.end(f"shard {shard} has seen epoch {error.epoch}")
                return
            except CoordqError:
                await _a_moment()
            else:
                return


async def _a_moment() -> None:
    await asyncio.sleep(RETRY_S * random.uniform(0.5, 1.5))


def _on_failure(term: Term, error: BaseException) -> None:
    """A mistake of ours ends the term: better to stand back than to lead halfway."""
    _log.error("the office failed", exc_info=error)
    term.end(f"{type(error).__name__}: {error}")
