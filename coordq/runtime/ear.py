"""Messages in, verdicts out: what one child hears on one shard.

One connection settles what was handled and takes what is next, in one round trip. While it is on
its way verdicts pile up, and the next call takes all of them: immediate when little happens,
batched under load. While there is nothing to take, marks are waited for on another connection.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Final
from uuid import uuid4

from coordq import clock
from coordq.bus.group import Group, subscribe
from coordq.bus.take import WANT_MAX, Given, Settling, Taken, gather, hold, take
from coordq.engine.aio import AsyncEngine, Line
from coordq.errors import CoordqError
from coordq.runtime.marks import Marks

PAUSE_S: Final = 1.0
"""After a refusal, at most."""
SETTLED_MAX: Final = 500
"""Verdicts of one call."""
HOLDS: Final = 3
"""So often within its visibility is a message held that is still being handled."""

_log = logging.getLogger("coordq.worker")


class Ear:
    """One shard. `start` it, `drain` it, `close` it.

    begin: is given what was taken. room: how many more it would be given now.
    """

    def __init__(
        self,
        shard: int,
        *,
        engine: AsyncEngine,
        reader: str,
        groups: Sequence[Group],
        begin: Callable[[Ear, Sequence[Given]], None],
        room: Callable[[], int],
    ) -> None:
        self.shard = shard
        self.held: dict[int, Given] = {}
        """What was taken and not settled, each by itself: what comes twice is settled twice."""
        self.heard_s = clock.monotonic()
        """When Redis last answered."""
        self._engine = engine
        self._reader = reader
        self._groups = {group.name: group for group in groups}
        self._adopted: tuple[str, ...] = ()
        """Mailboxes of others, read in their place; they are not ours to make."""
        self._begin = begin
        self._room = room
        self._open = True
        self._joined = False
        self._troubled = False
        self._nonces = _nonces()
        self._verdicts: list[tuple[str, Given, int, str]] = []
        self._hopeful = True
        """There may be something to take."""
        self._stir = asyncio.Event()
        """The worker has something to do, or to look at."""
        self._marks = Marks(
            shard,
            engine=engine,
            reader=reader,
            groups=groups,
            room=room,
            hope=self._hope,
            complain=self._complain,
        )
        self._empty = asyncio.Event()
        """Redis knows what became of everything that was taken."""
        self._empty.set()
        self._due: asyncio.TimerHandle | None = None
        self._line: Line | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # -- life ----------------------------------------------------------------------------------

    async def subscribe(self, names: Iterable[str] | None = None) -> None:
        """Make its groups, or those of these names: from now on nothing is missed."""
        for name in self._groups if names is None else names:
            await self._engine.run(subscribe(self.shard, self._groups[name]))

    async def start(self) -> None:
        """Begin to listen."""
        self._line = await self._engine.dedicated(self.shard)
        self._tasks = [
            asyncio.create_task(self._work(self._line)),
            asyncio.create_task(self._hold()),
        ]
        await self._marks.open()

    def drain(self) -> None:
        """Take nothing more; what was taken can be settled."""
        self._open = False
        self._marks.stop()
        self._stir.set()

    async def settled(self) -> None:
        """Wait, after `drain`, until Redis knows what became of everything."""
        await self._empty.wait()

    async def close(self) -> None:
        """Hang up. What is still held is given to others when its visibility ends."""
        self.drain()
        if self._due is not None:
            self._due.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._marks.close()
        if self._line is not None:
            await self._line.close()

    # -- taking and settling -------------------------------------------------------------------

    def settle(self, verdict: str, given: Given, *, delay_ms: int = 0, reason: str = "") -> None:
        """Say what became of a message: a, n, d or r, see `bus.take.Settling`."""
        self._verdicts.append((verdict, given, delay_ms, reason))
        self._stir.set()

    def adopt(self, names: Iterable[str]) -> None:
        """Read these mailboxes of others as well, and no others of theirs."""
        adopted = tuple(sorted(names))
        if adopted != self._adopted:
            self._adopted = adopted
            self._marks.watch(adopted)
            self._hope()

    def rouse(self) -> None:
        """There is room for more."""
        self._stir.set()

    async def _work(self, line: Line) -> None:
        while True:
            want = min(WANT_MAX, self._room()) if self._open and self._hopeful else 0
            if not self._verdicts and not want:
                self._stir.clear()
                await self._stir.wait()
                continue
            batch, self._verdicts = self._verdicts[:SETTLED_MAX], self._verdicts[SETTLED_MAX:]
            try:
                await self._turn(line, batch, want)
                self._troubled = False
            except CoordqError as error:
                self._verdicts[:0] = batch
                await self._complain(error)

    async def _turn(
        self, line: Line, batch: Sequence[tuple[str, Given, int, str]], want: int
    ) -> None:
        taken = await line.run(
            take(
                self.shard,
                self._reader,
                [*self._groups, *self._adopted],
                want=want,
                nonce=next(self._nonces),
                settled=_settlings(batch),
                join=not self._joined,
            )
        )
        self._joined = True
        self.heard_s = clock.monotonic()
        for _, given, _, _ in batch:
            self.held.pop(id(given), None)
        if not self.held:
            self._empty.set()
        missing = [name for name in taken.missing if name in self._groups]
        if missing:
            await self.subscribe(missing)
        if want:
            self._absorb(taken, want, again=bool(missing))

    def _absorb(self, taken: Taken, want: int, *, again: bool) -> None:
        if taken.given:
            self.held.update((id(given), given) for given in taken.given)
            self._empty.clear()
        self._hopeful = taken.more or len(taken.given) >= want or again
        if not self._hopeful:
            self._marks.rest()
        if taken.next_due_ms is not None:
            self._remind(taken.next_due_ms)
        if taken.given:
            self._begin(self, taken.given)

    def _remind(self, due_ms: int) -> None:
        """Take when something is to be given out again: who blocks on marks cannot know."""
        if self._due is not None:
            self._due.cancel()
        loop = asyncio.get_running_loop()
        self._due = loop.call_later(due_ms / 1000 + 0.001, self._hope)

    def _hope(self) -> None:
        self._hopeful = True
        self._marks.wake()
        self._stir.set()

    async def _complain(self, error: CoordqError) -> None:
        """Say once that Redis refuses us, and wait a little."""
        if not self._troubled:
            _log.error("hearing messages is refused: %s", error)
        self._troubled = True
        await asyncio.sleep(PAUSE_S * random.uniform(0.5, 1.0))

    # -- holding -------------------------------------------------------------------------------

    @property
    def visibility_s(self) -> float:
        """The shortest of its groups."""
        return min(group.visibility_s for group in self._groups.values())

    @property
    def silent_s(self) -> float:
        """For how many seconds Redis has not answered."""
        return clock.monotonic() - self.heard_s

    async def _hold(self) -> None:
        """Keep what is being handled, as long as that takes."""
        pause_s = self.visibility_s / HOLDS
        while True:
            await asyncio.sleep(pause_s)
            if not self.held:
                continue
            try:
                async with asyncio.timeout(pause_s):
                    await self._engine.run(hold(self.shard, self._reader, [*self.held.values()]))
                self.heard_s = clock.monotonic()
            except (CoordqError, TimeoutError) as error:
                _log.warning("messages could not be held: %s", str(error) or "no answer")


def _nonces() -> Iterator[str]:
    """A successor of the same name must not be taken for us, so chance is part of them."""
    life = uuid4().hex[:8]
    return (f"{life}{number}" for number in count(1))


def _settlings(batch: Iterable[tuple[str, Given, int, str]]) -> list[Settling]:
    """Verdicts that are alike travel together."""
    alike: dict[tuple[str, int, str], list[Given]] = {}
    for verdict, given, delay_ms, reason in batch:
        alike.setdefault((verdict, delay_ms, reason), []).append(given)
    return [
        settling
        for (verdict, delay_ms, reason), many in alike.items()
        for settling in gather(verdict, many, delay_ms=delay_ms, reason=reason)
    ]
