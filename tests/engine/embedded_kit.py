"""What the tests of the embedded server share: other processes, and looking for traces."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import redis

import coordq
from coordq.engine import guardian
from coordq.engine.embedded import Attachment
from tests.waiting import wait_until

ROOT = Path(coordq.__file__).parents[1]
TRACES = {guardian.START, guardian.CLIENTS, guardian.SERVER, guardian.SOCKET}

HOLD = """
import sys
from pathlib import Path
from coordq.engine.embedded import attach
held = attach(Path(sys.argv[1]))
print(held.pid, flush=True)
sys.stdin.read()
"""

FORK = """
import os, sys
from pathlib import Path
from coordq.engine.embedded import attach
held = attach(Path(sys.argv[1]))
if os.fork():
    held.close()
    os._exit(0)
print(held.pid, flush=True)
sys.stdin.read()
"""

ATTACH_AS_NOBODY = """
import os, sys
from pathlib import Path
from coordq.engine.embedded import attach
from coordq.errors import EmbeddedFailed
if os.geteuid() == 0:
    os.setuid(65534)
try:
    attach(Path(sys.argv[1]))
except EmbeddedFailed as error:
    print(error)
"""


HOLD_DEAF = (
    """
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
"""
    + HOLD
)


class Holder:
    """Another process that attaches, says which server it got, and stays until told to go."""

    def __init__(self, path: Path, script: str = HOLD) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def server(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def processes_of(path: Path) -> list[int]:
    """The guardians and servers that name `path` on their command line."""
    listed = subprocess.run(
        ["ps", "-axww", "-o", "pid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return [
        int(pid)
        for pid, state, args in rows
        if f"{path}" in args and "-c" not in args.split()[:3] and not state.startswith("Z")
    ]


def guardian_of(path: Path, server: int) -> int:
    [found] = [pid for pid in processes_of(path) if pid != server]
    return found


def talk(attachment: Attachment) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(attachment.socket))


def is_gone(path: Path) -> bool:
    return not processes_of(path) and not TRACES & {entry.name for entry in path.iterdir()}


def kill_server(attachment: Attachment) -> None:
    os.kill(attachment.pid, signal.SIGKILL)
    lock = str(attachment.path / guardian.SERVER)
    wait_until(lambda: not guardian.is_locked(lock), what="the server is dead")


def is_stopping(path: Path) -> bool:
    """While the guardian holds `start.lock`; nobody else is there who could."""
    return guardian.is_locked(str(path / guardian.START))
