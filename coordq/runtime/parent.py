"""The parent of a worker: starts children, keeps their leases, passes on orders, ends in order.

It loads none of the user's code, so nothing a handler does can keep it from beating.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import socket
from typing import Any, Final

import coordq
from coordq import clock
from coordq.engine.aio import AsyncEngine, open_async_engine
from coordq.engine.call import Call
from coordq.fleet.roster import PROTOCOL
from coordq.fleet.spawners import answer
from coordq.runtime import inbox, reload, shares
from coordq.runtime.brood import Brood
from coordq.runtime.burst import Burst
from coordq.runtime.control import Message
from coordq.runtime.health import Health
from coordq.runtime.loops import Loops
from coordq.runtime.process import ChildProcess, Phase
from coordq.runtime.pulse import Heart
from coordq.runtime.registrar import Registrar
from coordq.runtime.shutdown import Shutdown, Stage
from coordq.runtime.stall import Watch
from coordq.runtime.stopwatch import shortened
from coordq.runtime.tether import Tether
from coordq.runtime.worker import WorkerSettings
from coordq.work.events import note

CALL_PATIENCE_S: Final = 1.0
"""The parent repeats its calls itself, because each must say what is true at that moment."""
LAST_CALLS_S: Final = 3.0

_log = logging.getLogger("coordq.worker")


class Parent:
    """One worker, from its first beat to its exit code."""

    def __init__(self, settings: WorkerSettings, *, name: str) -> None:
        self._settings = settings
        self._name = name
        self._host = socket.gethostname()
        self._started_ms = clock.now_ms()
        self._ended = asyncio.Event()
        self._loops = Loops(self._on_failure)
        self._side: set[asyncio.Task[Any]] = set()
        self._shutdown = Shutdown(drain_timeout_s=settings.drain_timeout_s, enter=self._enter)
        self._burst = Burst(done=lambda: self._shutdown.to(Stage.DRAINING, "nothing left to do"))
        self._health = Health(self._vital_signs)
        self._files: reload.Snapshot = {}
        self._engine: AsyncEngine
        self._brood: Brood
        self._heart: Heart
        self._registrar: Registrar

    async def run(self) -> int:
        """Work until told to stop, or until a burst is done; returns the exit code."""
        settings = self._settings
        self._engine = await open_async_engine(
            settings.url, namespace=settings.namespace, name=f"coordq:{self._name}"
        )
        try:
            return await self._run()
        finally:
            await self._engine.close()

    async def _run(self) -> int:
        settings = self._settings
        self._brood = Brood(
            settings,
            worker=self._name,
            engine=self._engine,
            on_message=self._on_message,
            on_change=self._on_change,
        )
        self._heart = Heart(
            self._engine,
            worker=self._name,
            settings=settings,
            brood=self._brood,
            info=self._info,
        )
        self._registrar = Registrar(
            self._engine, worker=self._name, incarnation=lambda: self._heart.incarnation
        )
        await self._open_health()
        await self._heart.first()  # as patient as connecting: a Redis that just started may load
        self._engine.patience_s = CALL_PATIENCE_S
        self._watch_signals()
        if settings.reload:
            self._files = await asyncio.to_thread(reload.snapshot, settings.targets)
        await self._brood.start()
        await self._begin()
        await self._ended.wait()
        return await self._leave()

    async def _open_health(self) -> None:
        host, port = self._settings.health_host, self._settings.health_port
        if port is not None:
            port = await self._health.open(host, port)
            _log.info("health at http://%s:%d/healthz", host, port)

    def _watch_signals(self) -> None:
        self._shutdown.watch_signals()
        Tether(self._settings.tether, parted=self._on_parted).watch()
        faulthandler.register(signal.SIGUSR2, all_threads=True)
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._brood.dump)

    async def _begin(self) -> None:
        settings = self._settings
        for shard in range(self._engine.shards):
            self._loops.go(self._heart.beat(shard))
            self._loops.go(inbox.listen(self._engine, shard, worker=self._name, obey=self._obey))
        self._loops.go(self._registrar.run())
        self._loops.go(Watch(settings, brood=self._brood, note=self._note_stall).run())
        if settings.reload:
            self._loops.go(reload.watch(settings.targets, self._files, self._on_reload))
        _log.info("started: pid %d, %d children", os.getpid(), settings.processes)

    def _on_failure(self, error: BaseException) -> None:
        """None of the parent's loops may end by itself: better to stop than to limp."""
        _log.critical("the parent failed", exc_info=error)
        self._shutdown.to(Stage.STOPPING, "the parent failed")

    async def _leave(self) -> int:
        await self._brood.settled(LAST_CALLS_S)
        await self._loops.end()
        await self._health.close()
        await self._registrar.leave()
        await self._heart.leave()
        failed = self._brood.broken and not self._brood.ever_served
        code = 1 if failed or self._shutdown.stage is Stage.KILLED else 0
        done = self._brood.sums()
        _log.info("ended: %d succeeded, %d failed", done.succeeded, done.failed)
        return code

    # -- what happens --------------------------------------------------------------------------

    def _enter(self, stage: Stage) -> None:
        match stage:
            case Stage.DRAINING:
                self._brood.drain()
                self._heart.hurry()
            case Stage.STOPPING:
                self._brood.stop()
            case Stage.KILLED:
                self._brood.kill()
        self._on_change()

    def _on_parted(self) -> None:
        self._shutdown.to(Stage.DRAINING, "the spawner that started it is gone")

    def _on_change(self) -> None:
        """Children came or went, or shall go."""
        brood = self._brood
        if self._shutdown.stage is Stage.RUNNING and not brood.ever_served and brood.broken:
            if not self._settings.reload:
                self._shutdown.to(Stage.STOPPING, brood.broken)
            return
        if self._shutdown.stage is not Stage.RUNNING and not brood.children:
            self._ended.set()
        elif self._settings.burst:
            self._burst.look(brood.children)

    def _on_message(self, child: ChildProcess, message: Message) -> None:
        match message.get("say"):
            case "ready":
                self._introduce(child)
                both = zip(message["agents"], message["cards"], strict=True)
                self._registrar.introduce(agent | card for agent, card in both)
                self._heart.hurry()
                if self._settings.burst:
                    self._burst.look(self._brood.children)
            case "pong":
                names = [agent["name"] for agent in child.agents]
                self._answer(message["id"], {"child": child.index, "agents": names})
            case "broken":
                _log.error("child %d: %s", child.index, message["message"])
            case "idle":
                self._burst.answer(
                    child, message["round"], message["started"], self._brood.children
                )

    def _introduce(self, child: ChildProcess) -> None:
        tasks = [task for agent in child.agents for task in agent["tasks"]]
        names = ", ".join(agent["name"] for agent in child.agents)
        _log.info(
            "child %d (pid %d) serves: %s (%d tasks) from %s",
            child.index,
            child.pid,
            names,
            len(tasks),
            ", ".join(child.queues),
        )

    def _obey(self, message: Message) -> None:
        match message.get("do"):
            case "cancel":
                self._pass_on(str(message.get("member")), str(message.get("reason", "cancelled")))
            case "drain":
                self._shutdown.to(Stage.DRAINING, "asked to, through Redis")
            case "stop":
                self._shutdown.to(Stage.STOPPING, "asked to, through Redis")
            case "dump":
                self._brood.dump()
            case "ping":
                self._call_the_roll(str(message.get("id")))

    def _pass_on(self, member: str, reason: str) -> None:
        for child in self._brood.children:
            for held in child.held():
                if held.member == member:
                    child.cancel(held, reason)

    async def _on_reload(self, changed: list[str]) -> None:
        shown = ", ".join(os.path.basename(name) for name in changed[:3])  # noqa: PTH119 - plain text
        _log.info("reload: %s%s changed", shown, " and others" if len(changed) > 3 else "")  # noqa: PLR2004
        await self._brood.replace_all()

    def _call_the_roll(self, ping_id: str) -> None:
        """Pass on the question whether somebody is there, and say whom it was passed on to."""
        serving = [child for child in self._brood.children if child.phase is Phase.SERVING]
        for child in serving:
            child.say({"do": "ping", "id": ping_id})
        self._answer(ping_id, {"children": [child.index for child in serving]})

    def _answer(self, ping_id: str, said: dict[str, Any]) -> None:
        self._aside(answer(ping_id, {"worker": self._name, **said}))

    def _note_stall(self, child: ChildProcess, age_s: float) -> None:
        detail = f"child {child.index} pid {child.pid} for {age_s:.1f} s"
        self._aside(note(0, self._name, "stalled", detail))

    def _aside(self, call: Call[Any]) -> None:
        """Run a call to its end, while the parent goes on."""
        task = asyncio.create_task(self._brood.insist(call))
        self._side.add(task)
        task.add_done_callback(self._side.discard)

    # -- what it says of itself ----------------------------------------------------------------

    def _state(self) -> str:
        if self._shutdown.stage is not Stage.RUNNING:
            return "draining"
        if any(child.stalled for child in self._brood.children):
            return "stalled"
        return "running"

    def _info(self) -> dict[str, Any]:
        """For the registry of workers. Nothing in it changes while the worker idles."""
        done = self._brood.sums()
        settings = self._settings
        serving = [child for child in self._brood.children if child.agents]
        return {
            "worker": self._name,
            "host": self._host,
            "pid": os.getpid(),
            "state": self._state(),
            "zone": settings.zone,
            "protocol": PROTOCOL,
            "incarnation": self._heart.incarnation,
            "lost": self._heart.lost,
            "beat_ms": settings.beat_ms,
            "lease_ms": settings.lease_ms,
            "labels": settings.labels,
            "version": coordq.__version__,
            "started_ms": self._started_ms,
            "concurrency": settings.concurrency,
            "slots": settings.concurrency * settings.processes,
            "processes": settings.processes,
            "queues": serving[-1].queues if serving else [name for name, _ in settings.queues],
            "agents": serving[-1].agents if serving else [],
            "running": self._brood.running(),
            "succeeded": done.succeeded,
            "failed": done.failed,
            "held_ms": done.held_ms,
            "worked_ms": done.worked_ms,
            "waits": shortened(done.waits),
            "runs": shortened(done.runs),
            "by_agent": shares.told(done.by_agent),
            "children": [child.facts() for child in self._brood.children],
        }

    def _vital_signs(self) -> dict[str, Any]:
        """For health checks."""
        silent_s = self._heart.silent_s()
        children = self._brood.children
        alive = sum(child.alive for child in children)
        serving = sum(child.phase is Phase.SERVING for child in children)
        stalled = sum(child.stalled for child in children)
        running = self._shutdown.stage is Stage.RUNNING
        healthy = silent_s <= self._settings.lease_s and not stalled
        healthy = healthy and (alive >= self._settings.processes or not running)
        return {
            "healthy": healthy,
            "ready": healthy and running and serving > 0,
            "worker": self._name,
            "state": self._state(),
            "redis_silent_s": round(silent_s, 3),
            "children": [child.facts() for child in children],
        }
