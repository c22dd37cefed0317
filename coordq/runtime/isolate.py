"""One task in a process of its own: `isolation="process"`.

For code that leaks, crashes, holds the interpreter or must be stoppable at any moment. The process
is started afresh (never forked: the worker has threads), loads the same targets, runs the one task
with its dependencies and middleware, and says over a socket how it ended. Both sides speak JSON,
never pickle, each message with its length in front.

It leads a process group, which is killed when the task is stopped or has ended, so nothing that it
started stays behind. It kills its group itself when the worker's end of the socket closes: when the
worker dies, its isolated tasks die with it. Its stdout and stderr are the worker's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from coordq.errors import CoordqError, InvalidAgent
from coordq.runtime.verdict import Crashed
from coordq.work.claim import Claim
from coordq.work.finish import Outcome
from coordq.work.spec import read_spec, write_spec

if TYPE_CHECKING:
    from coordq.work.agent import Handler
    from coordq.work.context import Reporter

FRAME_MAX: Final = 256 * 1024 * 1024
EXIT_S: Final = 2.0
"""How long the process may take to exit after its last word."""
THREADS: Final = 4
_LENGTH: Final = struct.Struct(">I")
_ROOT: Final = str(Path(__file__).resolve().parents[2])
# Finds coordq where the worker found it, also in a checkout that is not installed.
_START: Final = (
    "import sys; sys.path.append(sys.argv[2]); from coordq.runtime.isolate import main; main()"
)


@dataclass(frozen=True, slots=True)
class Isolation:
    """What a process of its own has to know of the worker.

    targets: what the worker's agents were loaded from.
    url, namespace, shards: where `ctx.client` connects to.
    """

    targets: Sequence[str] = ()
    url: str | None = None
    namespace: str | None = None
    shards: int = 1


def _frame(message: list[Any]) -> bytes:
    body = json.dumps(message, ensure_ascii=False).encode(errors="replace")
    return _LENGTH.pack(len(body)) + body


# The worker's side


async def run_apart(
    claim: Claim,
    isolation: Isolation,
    *,
    reporter: Reporter,
    remaining_s: float | None,
    result_max: int,
) -> Outcome:
    """Run a claim's task in a fresh process and return its outcome.

    When cancelled, kills the process and everything in its group. Raises Crashed when it ended
    without an outcome, InvalidAgent when it could not load the task.
    """
    ours, theirs = socket.socketpair()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", _START, str(theirs.fileno()), _ROOT),
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    writer: asyncio.StreamWriter | None = None
    try:
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(_frame(["job", _job(claim, isolation, remaining_s, result_max)]))
        return await _listen(reader, claim, reporter, process)
    finally:
        if writer is not None:
            writer.close()
        _kill_group(process.pid)
        await process.wait()


def _job(
    claim: Claim, isolation: Isolation, remaining_s: float | None, result_max: int
) -> dict[str, Any]:
    left_ms = 0 if remaining_s is None else max(1, round(remaining_s * 1000))
    return {
        "id": claim.id,
        "fence": claim.fence,
        "version": claim.version,
        "attempt": claim.attempt,
        "strikes": claim.strikes,
        "spec": write_spec(replace(claim.spec, timeout_ms=left_ms)),
        "args": claim.args.decode(),
        "member": claim.member,
        "result_max": result_max,
        "targets": list(isolation.targets),
        "url": isolation.url,
        "namespace": isolation.namespace,
        "shards": isolation.shards,
    }


async def _listen(
    reader: asyncio.StreamReader,
    claim: Claim,
    reporter: Reporter,
    process: asyncio.subprocess.Process,
) -> Outcome:
    """Pass on what the process reports, until its last word."""
    while (message := await _receive(reader)) is not None:
        match message:
            case ["progress", done, total, text]:
                reporter.progress(claim, done, total, text)
            case ["log", line]:
                reporter.log(claim, line)
            case ["unloadable", text]:
                raise InvalidAgent(text)
            case ["outcome", kind, body, delay_ms]:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), EXIT_S)
                return Outcome(kind, claim.id, claim.fence, body.encode(), delay_ms)
    raise Crashed(await process.wait())


async def _receive(reader: asyncio.StreamReader) -> Any:
    """The next message; None when the process has hung up."""
    try:
        (size,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return json.loads(await reader.readexactly(size)) if size <= FRAME_MAX else None
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):
        return None


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


# The process's side


class _Wire:
    """Tells the worker; from any thread. Is the run's reporter."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()

    def say(self, *message: Any) -> None:
        with self._lock:
            self._sock.sendall(_frame(list(message)))

    def progress(self, _: Any, done: float, total: float | None, message: str, /) -> None:
        self.say("progress", done, total, message)

    def log(self, _: Any, line: str, /) -> None:
        self.say("log", line)


def _read_job(sock: socket.socket) -> dict[str, Any]:
    with sock.makefile("rb") as stream:
        (size,) = _LENGTH.unpack(stream.read(_LENGTH.size))
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


async def _run(job: dict[str, Any], wire: _Wire) -> Outcome:
    from coordq.runtime.clients import Clients
    from coordq.runtime.executor import Executor

    claim = _claim(job)
    handler = _load(job["targets"], claim.name)
    clients: list[Clients] = []

    def provide(asynchronous: bool, /) -> Any:  # noqa: FBT001 - as ClientProvider wants it
        if not clients:
            clients.append(Clients(_whereabouts(job)))
        return clients[0].get(asynchronous)

    executor = Executor(
        {handler.name: handler},
        reporter=wire,
        provider=provide,
        threads=THREADS,
        result_max=job["result_max"],
    )
    await executor.boot()
    outcome = await executor.run(claim)
    await executor.close()
    for made in clients:
        await made.close()
    assert outcome is not None
    return outcome


def _claim(job: dict[str, Any]) -> Claim:
    spec = read_spec(job["spec"].encode())
    numbers = (job["fence"], job["version"], job["attempt"], job["strikes"])
    return Claim(job["id"], *numbers, spec, job["args"].encode(), job["member"])


def _load(targets: Sequence[str], name: str) -> Handler:
    """The task's handler, to be run right here. Raises InvalidAgent."""
    from coordq.runtime.loader import load

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
        wire.say("outcome", outcome.kind, outcome.body.decode(), outcome.delay_ms)
