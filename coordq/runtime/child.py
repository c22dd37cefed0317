"""One process that runs handlers: claims, runs, reports, and obeys its parent.

Started as `python -m coordq.runtime.child <name> <control fd> <ledger fd>`, fresh, not forked. It
says that it is alive by a tick in the ledger. When its parent is gone it gives back what it holds
and ends; when the parent has heard nothing from Redis it claims nothing more after half a lease,
and cancels what runs before the lease can lapse.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import random
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

from coordq import clock
from coordq.client.breakers_async import AsyncBreakers
from coordq.engine.aio import AsyncEngine, open_async_engine
from coordq.errors import CoordqError
from coordq.ids import shard_of
from coordq.runtime import control, logs
from coordq.runtime.briefing import Briefer
from coordq.runtime.builtin import builtin
from coordq.runtime.clients import Clients
from coordq.runtime.control import Control, Message
from coordq.runtime.ears import Ears
from coordq.runtime.executor import Executor
from coordq.runtime.fuses import Fuses
from coordq.runtime.hands import Hands
from coordq.runtime.isolate import Isolation
from coordq.runtime.ledger import Ledger, Word
from coordq.runtime.limits import Limits
from coordq.runtime.loader import load
from coordq.runtime.menu import Menu, Skill, served_queues
from coordq.runtime.pump import Bench, Lane
from coordq.runtime.reporter import Reporter
from coordq.runtime.shares import Shares
from coordq.runtime.slots import Slots
from coordq.runtime.stopwatch import Stopwatch
from coordq.runtime.worker import ASKERS, WorkerSettings
from coordq.work.agent import Agent
from coordq.work.beat import release

ORPHAN_S: Final = 0.7
"""How long an orphan waits for its cancelled handlers."""
CUT_OFF_S: Final = 5.0
"""How long a child that is told to stop waits for its cancelled handlers."""
RELEASE_S: Final = 1.0
PROBE_PAUSE_S: Final = 0.05
WEIGH_EVERY: Final = 4
"""Ticks between two looks at the memory."""

_log = logging.getLogger("coordq.worker")


class Child:
    """The life of one child, from loaded agents to an exit code."""

    def __init__(
        self, settings: WorkerSettings, *, name: str, ledger: Ledger, agents: list[Agent]
    ) -> None:
        self._settings = settings
        self._name = name
        self._ledger = ledger
        self._agents = agents
        self._queues = served_queues(settings.queues, _queues_named(agents))
        self._limits = Limits(settings.max_tasks, settings.max_rss_mb)
        self._closing = asyncio.Event()
        self._stopping = asyncio.Event()
        self._patience_s = CUT_OFF_S
        self._retiring = False
        self._cut_off: set[int] = set()
        """Shards, while that is so."""
        self._ticks = 0
        self._lanes: list[Lane] = []
        self._side: set[asyncio.Task[Any]] = set()

    async def run(self, sock: socket.socket) -> int:
        """Work until told otherwise; returns the exit code."""
        self._control = await Control.open(sock)
        self._listener = asyncio.create_task(self._listen())
        self._watch_signals()
        settings = self._settings
        self._engine = await open_async_engine(
            settings.url, namespace=settings.namespace, patience_s=None, name=f"coordq:{self._name}"
        )
        try:
            await self._set_up(self._engine)
        except Exception as error:  # noqa: BLE001 - a hook or a type hint of the user's
            self._control.say({"say": "broken", "message": f"{type(error).__name__}: {error}"})
            await self._control.flush()
            return 1
        self._tick()
        self._control.say(self._introduction())
        if not self._closing.is_set():
            for lane in self._lanes:
                await lane.start()
            await self._ears.start()
            await self._closing.wait()
            await self._leave()
        return await self._close()

    async def _set_up(self, engine: AsyncEngine) -> None:
        settings = self._settings
        watch = Stopwatch()
        self._slots = Slots(self._ledger, settings.concurrency, watch=watch)
        self._reporter = Reporter(engine, asyncio.get_running_loop())
        self._clients = Clients(engine)
        agents = [*self._agents, builtin()]
        self._executor = Executor(
            agents,
            reporter=self._reporter,
            provider=self._clients.get,
            threads=settings.threads or settings.concurrency,
            isolation=Isolation(settings.targets, settings.url, settings.namespace, engine.shards),
            engine=lambda: engine,
            slots=settings.concurrency,
        )
        await self._executor.boot()
        handlers = self._executor.handlers
        self._fuses = Fuses(self._executor, handlers, AsyncBreakers(engine))
        runs = self._fuses if self._fuses.needed else self._executor
        self._hands = Hands(
            self._slots,
            self._ledger,
            executor=runs,
            reporter=self._reporter,
            briefer=Briefer(engine),
            timeouts_ms={name: handler.timeout_ms for name, handler in handlers.items()},
            delays_s={name: one.batch.delay_s for name, one in handlers.items() if one.batch},
            watch=watch,
            shares=Shares([(agent.name, agent.handlers) for agent in self._agents]),
        )
        bench = Bench(
            engine=engine,
            ledger=self._ledger,
            slots=self._slots,
            hands=self._hands,
            limits=self._limits,
            claimant=self._name,
            lease_ms=settings.lease_ms,
            chunk=max(1, -(-settings.concurrency // 4)),
            siblings=settings.processes,
            on_start=self._on_start,
        )
        self._ears = Ears(
            engine,
            [one for agent in self._agents for one in agent.listeners.values()],
            executor=runs,
            reader=self._name.rpartition(".")[0],
            slots=settings.concurrency,
        )
        await self._ears.subscribe()
        skills = [_skill(agent) for agent in agents]
        for shard in range(engine.shards):
            menu = Menu(skills, self._queues, chance=random.Random())
            self._lanes.append(Lane(shard, bench=bench, menu=menu))

    def _introduction(self) -> Message:
        agents = [
            {
                "name": agent.name,
                "role": agent.role or "",
                "capabilities": sorted(agent.capabilities),
                "tasks": sorted(agent.handlers),
            }
            for agent in self._agents
        ]
        cards = [agent.card.to_json() for agent in self._agents]
        queues = [name for name, _ in self._queues]
        return {"say": "ready", "agents": agents, "cards": cards, "queues": queues}

    # -- obeying -------------------------------------------------------------------------------

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        # A terminal sends INT to the whole group; the parent decides what it means.
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        loop.add_signal_handler(signal.SIGTERM, self._retire, "it was asked to end")

    async def _listen(self) -> None:
        async for message in self._control.messages():
            self._obey(message)
        if not self._stopping.is_set():
            _log.warning("the parent is gone: giving back what is held")
        self._patience_s = ORPHAN_S
        self._stopping.set()
        self._closing.set()

    def _obey(self, message: Message) -> None:
        match message.get("do"):
            case "cancel":
                hold = self._slots.held.get(str(message.get("member")))
                if hold is not None:
                    self._hands.cancel(hold, str(message.get("reason", "cancelled")))
            case "drain":
                self._closing.set()
            case "stop":
                self._stopping.set()
                self._closing.set()
            case "ping":
                self._control.say({"say": "pong", "id": message["id"]})
            case "check":
                self._aside(self._answer(int(message["round"])))

    def _aside(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._side.add(task)
        task.add_done_callback(self._side.discard)

    async def _answer(self, number: int) -> None:
        """Burst: once there is nothing to do, and claims bring nothing, say so."""
        while True:
            await self._slots.emptied()
            got = [await lane.probe() for lane in self._lanes]
            if not any(got) and not self._slots.busy:
                break
            if -1 in got:
                await asyncio.sleep(PROBE_PAUSE_S)
        self._control.say({"say": "idle", "round": number, "started": self._hands.started})

    def _on_start(self) -> None:
        self._hands.note()
        if self._limits.reached(self._hands.started):
            self._retire(f"it has started {self._hands.started} tasks")

    def _retire(self, reason: str) -> None:
        """Ask for a successor, and end."""
        if not self._retiring and not self._closing.is_set():
            self._retiring = True
            self._control.say({"say": "retiring", "reason": reason})
            self._closing.set()

    # -- ticking -------------------------------------------------------------------------------

    def _tick(self) -> None:
        asyncio.get_running_loop().call_later(self._settings.tick_s, self._tick)
        self._ledger.put(Word.TICK, int(clock.monotonic() * 1e9))
        self._hands.note_times()
        self._hands.note()
        self._ticks += 1
        for lane in self._lanes:
            self._guard(lane.shard)
        self._ears.guard()
        if self._ticks % WEIGH_EVERY == 0 and (reason := self._limits.overweight()):
            self._retire(reason)

    def _guard(self, shard: int) -> None:
        """Cancel what runs on a shard that has not confirmed us for nearly a lease."""
        limit_s = self._settings.lease_s - self._settings.beat_s
        silent_s = clock.monotonic() - self._ledger.confirmed_ns(shard) / 1e9
        if silent_s <= limit_s:
            self._cut_off.discard(shard)
            return
        if shard not in self._cut_off and self._slots.held:
            self._cut_off.add(shard)
            _log.error("no beat was answered for %.1f s: cancelling what runs", silent_s)
        self._hands.cancel_all(
            "lost", where=lambda hold: shard_of(hold.claim.id) == shard and not hold.ended
        )

    # -- leaving -------------------------------------------------------------------------------

    async def _leave(self) -> None:
        """Claim nothing more, let handlers finish or cut them off, give back the rest."""
        for lane in self._lanes:
            lane.drain()
        self._ears.drain()
        self._hands.cancel_all("shutdown", where=lambda hold: hold.waiting)
        emptied = asyncio.create_task(self._emptied())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({emptied, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not emptied.done():
            self._hands.cancel_all("shutdown")
            self._ears.cancel_all("shutdown")
            await asyncio.wait({emptied}, timeout=self._patience_s)
        if not emptied.done() or not emptied.result():
            emptied.cancel()
            await self._release_rest()

    async def _emptied(self) -> bool:
        """Wait until nothing is held; false when something may have been granted unseen."""
        closed = [await lane.closed() for lane in self._lanes]
        await self._slots.emptied()
        await self._ears.emptied()
        return all(closed)

    async def _release_rest(self) -> None:
        """Give back what did not stop in time, and what may have been granted unseen."""
        members = list(self._slots.held)
        claimants = [f"{self._name}:{asker}" for asker in ASKERS]
        try:
            async with asyncio.timeout(RELEASE_S):
                for shard in range(self._engine.shards):
                    mine = [member for member in members if shard_of(member) == shard]
                    await self._engine.run(release(shard, mine, claimants=claimants))
        except (CoordqError, TimeoutError) as error:
            why = str(error) or "no answer"
            _log.warning("%d claims could not be given back: %s", len(members), why)

    async def _close(self) -> int:
        stuck = self._slots.busy or self._ears.busy
        for task in self._side:
            task.cancel()
        for lane in self._lanes:
            await lane.close()
        await self._ears.close()
        self._hands.note_times()
        self._hands.note()
        await self._fuses.close()
        self._control.say({"say": "bye"})
        await self._control.flush()
        if stuck:
            _end_now(0)  # handlers in threads cannot be stopped, and would hold the process
        await self._executor.close()
        await self._clients.close()
        await self._engine.close()
        self._listener.cancel()
        return 0


def _queues_named(agents: list[Agent]) -> list[str]:
    return [
        queue
        for agent in agents
        for handler in agent.handlers.values()
        if (queue := getattr(handler.options, "queue", None))
    ]


def _skill(agent: Agent) -> Skill:
    return Skill(frozenset(agent.handlers), agent.role or "", frozenset(agent.capabilities))


def _end_now(code: int) -> None:
    """End without waiting for threads."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def main(argv: list[str]) -> int:
    """The process's entry: reads its orders, loads the targets, runs."""
    name, control_fd, ledger_fd = argv[1], int(argv[2]), int(argv[3])
    signal.signal(signal.SIGINT, lambda *_: None)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    sock = socket.socket(fileno=control_fd)
    order = control.receive(sock)
    if order is None:
        return 0
    settings = WorkerSettings.from_dict(order["settings"])
    shown = order["shown"]
    logs.configure(shown, form=settings.log_format, level=settings.log_level, everything=True)
    if settings.reload:
        # Python trusts compiled files by second and size: a file saved twice in a second is missed
        sys.dont_write_bytecode = True
    try:
        agents = load(settings.targets).agents
    except CoordqError as error:
        control.send(sock, {"say": "broken", "code": error.code, "message": error.message})
        return 1
    ledger = Ledger.attach(ledger_fd)

    async def live() -> int:
        return await Child(settings, name=name, ledger=ledger, agents=agents).run(sock)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(live())


if __name__ == "__main__":
    sys.exit(main(sys.argv))
