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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from coordq.errors import InvalidAgent
from coordq.runtime.verdict import Crashed
from coordq.work.claim import Claim
from coordq.work.finish import Outcome
from coordq.work.progress import read_progress
from coordq.work.spec import write_spec

if TYPE_CHECKING:
    from coordq.work.context import Reporter

FRAME_MAX: Final = 256 * 1024 * 1024
EXIT_S: Final = 2.0
"""How long the process may take to exit after its last word."""
THREADS: Final = 4
LENGTH: Final = struct.Struct(">I")
_ROOT: Final = str(Path(__file__).resolve().parents[2])
# Finds coordq where the worker found it, also in a checkout that is not installed.
_START: Final = (
    "import sys; sys.path.append(sys.argv[2]); from coordq.runtime.apart import main; main()"
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


def frame(message: list[Any]) -> bytes:
    """A message as it travels: its length, then JSON."""
    body = json.dumps(message, ensure_ascii=False).encode(errors="replace")
    return LENGTH.pack(len(body)) + body


async def run_apart(
    claim: Claim,
    isolation: Isolation,
    *,
    reporter: Reporter,
    remaining_s: float | None,
    result_max: int,
) -> Outcome | None:
    """Run a claim's task in a fresh process and return its outcome; None when the claim was lost.

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
        writer.write(frame(["job", _job(claim, isolation, remaining_s, result_max)]))
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
        "memory": claim.memory and claim.memory.to_json(),
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
) -> Outcome | None:
    """Pass on what the process reports, until its last word."""
    while (message := await _receive(reader)) is not None:
        match message:
            case ["progress", facts] if (said := read_progress(facts)) is not None:
                reporter.progress(claim, said)
            case ["log", line]:
                reporter.log(claim, line)
            case ["unloadable", text]:
                raise InvalidAgent(text)
            case ["lost"]:
                return None
            case ["outcome", kind, body, delay_ms, units]:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), EXIT_S)
                return Outcome(kind, claim.id, claim.fence, body.encode(), delay_ms, units)
    raise Crashed(await process.wait())


async def _receive(reader: asyncio.StreamReader) -> Any:
    """The next message; None when the process has hung up."""
    try:
        (size,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        return json.loads(await reader.readexactly(size)) if size <= FRAME_MAX else None
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):
        return None


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
