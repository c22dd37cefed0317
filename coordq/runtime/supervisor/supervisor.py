"""A supervisor: campaigns, does the leader's work while it leads, hands over at its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from typing import Any, Final

import coordq
from coordq import clock
from coordq.engine.aio import AsyncEngine, open_async_engine
from coordq.fleet.election import Candidate
from coordq.runtime.health import Health
from coordq.runtime.supervisor.figures import Figures
from coordq.runtime.supervisor.gauge import Gauge
from coordq.runtime.supervisor.office import Office
from coordq.runtime.supervisor.part import Part
from coordq.runtime.supervisor.parts import parts
from coordq.runtime.supervisor.settings import SupervisorSettings
from coordq.runtime.supervisor.term import Term
from coordq.runtime.tether import Tether

CALL_PATIENCE_S: Final = 1.0
"""Parts and office repeat what they do themselves: each round must say what is true then."""

_log = logging.getLogger("coordq.supervisor")


class Supervisor:
    """One supervisor, from its first campaign to its exit code."""

    def __init__(self, settings: SupervisorSettings, *, name: str) -> None:
        self._settings = settings
        self._name = name
        self._started_ms = clock.now_ms()
        self._parts: list[Part] = parts(settings)
        self._parts.append(Figures(self._parts))
        self._told_to_end = asyncio.Event()
        self._office: Office
        self._health: Health

    async def run(self) -> int:
        """Watch until told to stop; returns the exit code."""
        settings = self._settings
        engine = await open_async_engine(
            settings.url, namespace=settings.namespace, name=f"coordq:{self._name}"
        )
        engine.patience_s = CALL_PATIENCE_S
        try:
            return await self._run(engine)
        finally:
            await engine.close()

    async def _run(self, engine: AsyncEngine) -> int:
        self._office = Office(engine, candidate=self._candidate(), holder=self)
        self._health = Health(self._vital_signs, {"/backlog": Gauge(engine).page})
        await self._open_health()
        self._watch_signals()
        _log.info("started: pid %d", os.getpid())
        office = asyncio.create_task(self._office.run())
        office.add_done_callback(lambda _: self._told_to_end.set())
        await self._told_to_end.wait()
        failed = office.done()
        office.cancel()
        (error,) = await asyncio.gather(office, return_exceptions=True)
        if failed:
            _log.critical("the supervisor failed", exc_info=error)
        await self._office.leave()
        await self._health.close()
        _log.info("ended")
        return 1 if failed else 0

    def _candidate(self) -> Candidate:
        settings = self._settings
        host = socket.gethostname()
        info = {
            "supervisor": self._name,
            "host": host,
            "pid": os.getpid(),
            "zone": settings.zone or host,
            "version": coordq.__version__,
            "started_ms": self._started_ms,
            "settings": settings.of_the_fleet(),
        }
        return Candidate(self._name, settings.lease_ms, settings.of_the_fleet(), info)

    async def _open_health(self) -> None:
        host, port = self._settings.health_host, self._settings.health_port
        if port is not None:
            port = await self._health.open(host, port)
            _log.info("health at http://%s:%d/healthz", host, port)

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)

        Tether(self._settings.tether, parted=self._on_parted).watch()

    def _on_parted(self) -> None:
        _log.info("ending: the spawner that started it is gone")
        self._told_to_end.set()

    def _on_signal(self, number: signal.Signals) -> None:
        if self._told_to_end.is_set():
            _log.warning("ended at once: %s came twice", number.name)
            os._exit(1)
        _log.info("ending: %s", number.name)
        self._told_to_end.set()

    # -- its office ----------------------------------------------------------------------------

    async def begin(self, term: Term) -> None:
        """The term has begun: every shard knows its epoch."""
        for part in self._parts:
            part.start(term)

    async def end(self, term: Term) -> None:
        """The term is over."""
        await asyncio.gather(*(part.stop() for part in self._parts))

    # -- what it says of itself ----------------------------------------------------------------

    def _vital_signs(self) -> dict[str, Any]:
        """For health checks. A stand-by is as ready as a leader: it is there to take over."""
        office = self._office
        silent_s = office.silent_s()
        healthy = silent_s <= 3 * self._settings.lease_s
        term, leader = office.term, office.leader
        return {
            "healthy": healthy,
            "ready": healthy,
            "supervisor": self._name,
            "state": "leader" if term is not None else "stand-by",
            "leader": leader.name if leader is not None else None,
            "epoch": leader.epoch if leader is not None else None,
            "redis_silent_s": round(silent_s, 3),
            "parts": {part.name: part.figures() for part in self._parts},
        }
