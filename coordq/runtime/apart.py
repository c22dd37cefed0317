"""The process's side of `isolation="process"`: see isolate.py for the worker's."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from coordq.errors import CoordqError, InvalidAgent
from coordq.runtime.clients import Clients
from coordq.runtime.executor import Executor
from coordq.runtime.isolate import LENGTH, frame
from coordq.runtime.loader import load
from coordq.work.claim import Claim
from coordq.work.finish import Outcome
from coordq.work.spec import read_spec
from coordq.work.waits import Memory

if TYPE_CHECKING:
    from coordq.engine.aio import AsyncEngine
    from coordq.work.handler import Handler
    from coordq.work.progress import Progress

THREADS: Final = 4


class _Wire:
    """Tells the worker; from any thread. Is the run's reporter."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()

    def say(self, *message: Any) -> None:
        with self._lock:
            self._sock.sendall(frame(list(message)))

    def progress(self, _: Any, progress: Progress, /) -> None:
        self.say("progress", progress.to_json())

    def log(self, _: Any, line: str, /) -> None:
        self.say("log", line)


def _read_job(sock: socket.socket) -> dict[str, Any]:
    with sock.makefile("rb") as stream:
        (size,) = LENGTH.unpack(stream.read(LENGTH.size))
        job: dict[str, Any] = json.loads(stream.read(size))[1]
    return job


def _die_with_worker(sock: socket.socket) -> None:
    """Wait for the worker to hang up, then end this process and all that it started."""
    while True:
        try:
            if sock.recv(1):
                continue
        except OSError:
            pass
        os.killpg(0, signal.SIGKILL)


async def _run(job: dict[str, Any], wire: _Wire) -> Outcome | None:
    claim = _claim(job)
    handler = _load(job["targets"], claim.name)
    clients: list[Clients] = []

    def provide(asynchronous: bool, /) -> Any:  # noqa: FBT001 - as ClientProvider wants it
        if not clients:
            clients.append(Clients(_whereabouts(job)))
        return clients[0].get(asynchronous)

    def engine() -> AsyncEngine:
        found: AsyncEngine = provide(True).engine  # noqa: FBT003 - as above
        return found

    executor = Executor(
        {handler.name: handler},
        reporter=wire,
        provider=provide,
        threads=THREADS,
        result_max=job["result_max"],
        engine=engine,
    )
    await executor.boot()
    outcome = await executor.run(claim)
    await executor.close()
    for made in clients:
        await made.close()
    return outcome


def _claim(job: dict[str, Any]) -> Claim:
    spec = read_spec(job["spec"].encode())
    numbers = (job["fence"], job["version"], job["attempt"], job["strikes"])
    memory = Memory(**job["memory"]) if job["memory"] else None
    return Claim(job["id"], *numbers, spec, job["args"].encode(), job["member"], memory=memory)


def _load(targets: Sequence[str], name: str) -> Handler:
    """The task's handler, to be run right here. Raises InvalidAgent."""
    for agent in load(targets).agents:
        if name in agent.handlers:
            handler = agent.handlers[name]
            handler.isolation = "none"
            return handler
    raise InvalidAgent(f"a fresh process found no task {name!r} in {', '.join(targets)}.")


def _whereabouts(job: dict[str, Any]) -> Any:
    """What `Clients` wants to know of the worker's engine."""
    from coordq.engine.address import parse

    address = parse(job["url"], namespace=job["namespace"])
    return SimpleNamespace(address=address, shards=job["shards"])


def _last_word(outcome: Outcome) -> tuple[Any, ...]:
    return "outcome", outcome.kind, outcome.body.decode(), outcome.delay_ms, outcome.units


def main() -> None:
    """Run the one task that the worker hands over the inherited socket."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    sock.set_inheritable(False)
    job = _read_job(sock)
    threading.Thread(target=_die_with_worker, args=(sock,), daemon=True).start()
    wire = _Wire(sock)
    try:
        outcome = asyncio.run(_run(job, wire))
    except CoordqError as error:
        wire.say("unloadable", str(error))
    else:
        wire.say(*(_last_word(outcome) if outcome else ("lost",)))
