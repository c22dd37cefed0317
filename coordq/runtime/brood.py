"""Keeps as many children alive as were asked for, and buries the dead.

A child that dies has its claims given back at once: those in its ledger, and whatever its claimants
were granted last, since a claim may have been granted that never arrived. A moment later its
claimants are asked again, because the dying child's last request may still have been on the wire.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from operator import add
from typing import Any, Final

from coordq import clock
from coordq.engine.aio import AsyncEngine
from coordq.engine.call import Call
from coordq.ids import shard_of
from coordq.runtime import shares
from coordq.runtime.control import Message
from coordq.runtime.insist import insist
from coordq.runtime.ledger import BUCKETS, Held, Histogram, Ledger, Word
from coordq.runtime.process import ChildProcess, Phase
from coordq.runtime.worker import ASKERS, WorkerSettings
from coordq.work.beat import release

STABLE_S: Final = 10.0
"""A child that lived so long was well: the next death is the first."""
RESTART_MAX_S: Final = 10.0
SECOND_LOOK_S: Final = 0.3
HOPELESS: Final = 4
"""After so many early deaths in a row, of a worker that never served, it gives up."""

_log = logging.getLogger("coordq.worker")


@dataclass(slots=True)
class Totals:
    """What children that are gone have done."""

    succeeded: int = 0
    failed: int = 0
    held_ms: int = 0
    """How long slots were held; see Stopwatch."""
    worked_ms: int = 0
    waits: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    runs: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    by_agent: shares.Sums = field(default_factory=dict)

    def add(self, child: ChildProcess, *, gone: bool = False) -> None:
        """What a child has noted."""
        ledger = child.ledger
        self.succeeded += ledger.get(Word.SUCCEEDED)
        self.failed += ledger.get(Word.FAILED)
        self.held_ms += ledger.get(Word.HELD_MS)
        self.worked_ms += ledger.get(Word.WORKED_MS)
        self.waits = list(map(add, self.waits, ledger.histogram(Histogram.WAITS)))
        self.runs = list(map(add, self.runs, ledger.histogram(Histogram.RUNS)))
        agents = [agent["name"] for agent in child.agents]
        self.by_agent = shares.added(self.by_agent, shares.read(ledger, agents, gone=gone))


class Brood:
    """The children of one worker."""

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        worker: str,
        engine: AsyncEngine,
        on_message: Callable[[ChildProcess, Message], None],
        on_change: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._worker = worker
        self._engine = engine
        self._on_message = on_message
        self._on_change = on_change
        self._generation = 0
        self._deaths = [0] * settings.processes
        self._confirmed = [0] * engine.shards
        self._side: set[asyncio.Task[Any]] = set()
        self._restarts: set[asyncio.Task[None]] = set()
        self.children: list[ChildProcess] = []
        self._end: Callable[[ChildProcess], None] | None = None
        """How children are told to end, once they are."""
        self.ever_served = False
        self.broken = ""
        """The last reason why targets could not be loaded."""
        self.totals = Totals()

    # -- starting ------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start all children."""
        for index in range(self._settings.processes):
            await self._spawn(index)

    @property
    def closing(self) -> bool:
        """No child is replaced any more."""
        return self._end is not None

    async def _spawn(self, index: int) -> None:
        if self.closing:
            return
        ledger = Ledger.create(slots=self._settings.concurrency, shards=self._engine.shards)
        for shard, moment_ns in enumerate(self._confirmed):
            ledger.confirm(shard, moment_ns)
        child = await ChildProcess.spawn(
            self._settings,
            worker=self._worker,
            index=index,
            generation=self._generation,
            ledger=ledger,
        )
        self._generation += 1
        self.children.append(child)
        self._aside(self._live(child))
        if self._end is not None:  # the order came while the process was being made
            self._end(child)

    def _aside(self, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(work)
        self._side.add(task)
        task.add_done_callback(self._side.discard)

    async def _live(self, child: ChildProcess) -> None:
        listening = asyncio.create_task(self._listen(child))
        code = await child.ended()
        await asyncio.wait({listening}, timeout=1.0)  # its last words
        listening.cancel()
        await self._bury(child, code)

    async def _listen(self, child: ChildProcess) -> None:
        async for message in child.messages():
            match message.get("say"):
                case "ready":
                    child.agents, child.queues = message["agents"], message["queues"]
                    if child.phase is Phase.STARTING:
                        child.phase = Phase.SERVING
                    self.ever_served = True
                case "broken":
                    child.broken = str(message["message"])
                case "bye":
                    child.farewell = True
                case "retiring":
                    _log.info("child %d is replaced: %s", child.index, message["reason"])
                    await self.replace(child)
            self._on_message(child, message)

    # -- ending --------------------------------------------------------------------------------

    async def _bury(self, child: ChildProcess, code: int) -> None:
        held = child.ledger.held()
        guilty = child.guilty(held, code)
        clean = code == 0 and child.farewell and not held
        self.totals.add(child, gone=True)
        child.bury()
        self.children.remove(child)
        if not clean and not child.broken:
            self._say_how(child, code, held)
            self._aside(self._second_look(child))
            await self._give_back(child, held, guilty)
        if child.broken:
            self.broken = child.broken
        self._on_change()
        if not child.replaced and not self.closing and (self.ever_served or not child.broken):
            task = asyncio.create_task(self._restart(child))
            self._restarts.add(task)
            task.add_done_callback(self._restarts.discard)

    def _say_how(self, child: ChildProcess, code: int, held: list[Held]) -> None:
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        tasks = f"{len(held)} task{'' if len(held) == 1 else 's'}"
        _log.warning("child %d (pid %d) %s: %s go back", child.index, child.pid, how, tasks)

    async def _give_back(self, child: ChildProcess, held: list[Held], guilty: set[str]) -> None:
        """First the guilty, for the others are found again by their claimant."""
        for shard in range(self._engine.shards):
            mine = [one.member for one in held if shard_of(one.member) == shard]
            blamed = [member for member in mine if member in guilty]
            if blamed:
                await self.insist(release(shard, blamed, reason="crash"))
            others = [member for member in mine if member not in guilty]
            await self.insist(release(shard, others, claimants=_claimants(child)))

    async def _second_look(self, child: ChildProcess) -> None:
        await asyncio.sleep(SECOND_LOOK_S)
        for shard in range(self._engine.shards):
            await self.insist(release(shard, [], claimants=_claimants(child)))

    async def _restart(self, child: ChildProcess) -> None:
        if clock.monotonic() - child.born > STABLE_S:
            self._deaths[child.index] = 0
        deaths = self._deaths[child.index]
        self._deaths[child.index] += 1
        if deaths >= HOPELESS and not self.ever_served:
            self.broken = f"no child ever served; child {child.index} died {deaths + 1} times"
            self._on_change()
            return
        if deaths:
            wait_s = min(RESTART_MAX_S, 0.25 * 2**deaths) * random.uniform(0.8, 1.0)
            _log.info("child %d starts again in %.1f s", child.index, wait_s)
            await asyncio.sleep(wait_s)
        while not any(other.index == child.index and other.alive for other in self.children):
            try:
                await self._spawn(child.index)
            except OSError as error:
                _log.error("child %d cannot be started: %s", child.index, error)
                await asyncio.sleep(RESTART_MAX_S)

    async def insist(self, call: Call[Any]) -> None:
        """Run a call until Redis has answered, however long it is away."""
        await insist(self._engine, call, log=_log)

    # -- orders --------------------------------------------------------------------------------

    async def replace(self, child: ChildProcess) -> None:
        """Let a child finish what it holds, and start another beside it."""
        if child.replaced or self.closing:
            return
        child.replaced = True
        child.phase = Phase.LEAVING
        child.say({"do": "drain"})
        await self._spawn(child.index)

    async def replace_all(self) -> None:
        """Replace every child, and start those that are missing."""
        for child in [child for child in self.children if not child.replaced]:
            await self.replace(child)
        here = {child.index for child in self.children if child.alive}
        for index in range(self._settings.processes):
            if index not in here:
                await self._spawn(index)

    def drain(self) -> None:
        """Nobody is replaced any more; all finish what they hold and end."""
        self._close(_drain)

    def stop(self) -> None:
        """All cancel what they hold, give it back and end."""
        self._close(_stop)

    def kill(self) -> None:
        """End all at once; nobody is to blame for it."""
        self._close(_kill)

    def _close(self, end: Callable[[ChildProcess], None]) -> None:
        self._end = end
        for task in self._restarts:
            task.cancel()
        for child in self.children:
            end(child)

    def dump(self) -> None:
        """Have all children write the stacks of their threads to stderr."""
        for child in self.children:
            if child.phase is Phase.SERVING:
                child.signal(signal.SIGUSR1)

    def confirm(self, shard: int, moment_ns: int) -> None:
        """A beat sent at `moment_ns` was answered."""
        self._confirmed[shard] = moment_ns
        for child in self.children:
            child.ledger.confirm(shard, moment_ns)

    async def settled(self, timeout_s: float) -> None:
        """Wait until nothing is left to be given back, but not for ever."""
        if self._side:
            await asyncio.wait(self._side, timeout=timeout_s)

    def running(self) -> int:
        """How many tasks are held now."""
        return sum(child.ledger.get(Word.RUNNING) for child in self.children)

    def sums(self) -> Totals:
        """What was done since the worker started, by those who are here and those who are gone."""
        sums = replace(self.totals)
        for child in self.children:
            sums.add(child)
        return sums


def _drain(child: ChildProcess) -> None:
    if child.alive:
        child.phase = Phase.LEAVING
    child.say({"do": "drain"})


def _stop(child: ChildProcess) -> None:
    _drain(child)
    child.say({"do": "stop"})


def _kill(child: ChildProcess) -> None:
    child.kill(frozenset())


def _claimants(child: ChildProcess) -> list[str]:
    return [f"{child.name}:{asker}" for asker in ASKERS]
