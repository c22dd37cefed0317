"""A private redis-server for one user on one machine, shared by path through a unix socket.

Whoever comes first starts it, everyone else shares it, and it stops when the last one has left,
also when that one was killed. `attach` is all there is to it; `ensure` brings a server back that
died. How the processes agree is told in guardian.py, what lies in the directory in
embedded_home.py.

What it acknowledged survives its own death; a crash of the whole machine can cost the last second
(`appendfsync everysec`).

A child that is forked while its parent holds an attachment holds it too: the server stays until
both are gone, or have closed it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Final, Self

from coordq.clock import monotonic
from coordq.engine import embedded_home as home
from coordq.engine import guardian
from coordq.engine.embedded_home import default_path
from coordq.engine.embedded_launch import start
from coordq.engine.redis_binary import Binary, find_binary
from coordq.errors import EmbeddedFailed

__all__ = ["Attachment", "Binary", "attach", "default_path", "ensure", "find_binary"]

TIMEOUT_S: Final = 15.0

_FIRST_PAUSE_S: Final = 0.002
_LONGEST_PAUSE_S: Final = 0.05
_ANSWER_TIMEOUT_S: Final = 1.0
_ALIVE_BUT_NOT_READY: Final = (b"-LOADING", b"-BUSY")


class Attachment:
    """The right to use an embedded server. While anybody holds one, the server stays.

    It ends with `close()`, with the process, however that ends, or when it is garbage.
    """

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        """The directory."""
        self.socket: Path = path
        """Where clients connect. Stays the same when the server is started again."""
        self.pid: int = 0
        """The server's process."""
        self._lock = Lock()
        self._held: weakref.finalize[[int], Attachment] | None = None

    @property
    def closed(self) -> bool:
        """Whether this attachment keeps nothing alive any more."""
        return self._held is None

    def close(self) -> None:
        """Let go. The server stops soon after the last one did. Closing twice is fine."""
        with self._lock:
            held, self._held = self._held, None
        if held is not None:
            held()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"pid {self.pid}"
        return f"<embedded Redis in {self.path}, {state}>"

    def _renew(self, served: _Served) -> None:
        with self._lock:
            before, self._held = self._held, weakref.finalize(self, os.close, served.clients)
            self.socket, self.pid = served.socket, served.pid
        if before is not None:
            before()


def attach(path: Path | None = None, *, timeout: float = TIMEOUT_S) -> Attachment:
    """Use the embedded server of `path` (by default this user's own), starting it if need be.

    timeout: how many seconds to wait without a sign of life. A server that is still loading its
        data counts as alive.

    Raises EmbeddedFailed: no usable program, a directory that is not ours, a server that does
    not start or does not answer. The message says which, and where the log is.
    """
    attachment = Attachment(default_path() if path is None else home.prepare(path))
    attachment._renew(_served(attachment.path, timeout))  # noqa: SLF001 - same file
    return attachment


def ensure(attachment: Attachment, *, timeout: float = TIMEOUT_S) -> None:
    """Make sure that the server of `attachment` runs: to be called when a connection was lost.

    Any number of processes may do so at once; one of them starts it, at the same socket.
    """
    if attachment.closed:
        raise EmbeddedFailed(
            f"the connection to {attachment.path} was closed", path=attachment.path
        )
    attachment._renew(_served(home.prepare(attachment.path), timeout))  # noqa: SLF001 - same file


# ------------------------------------------------------------------ who serves


@dataclass(frozen=True, slots=True)
class _Served:
    clients: int
    """The descriptor that holds `clients.lock`."""
    socket: Path
    pid: int


def _served(directory: Path, timeout: float) -> _Served:
    """Join the clients of a server that answers, having started it if there was none."""
    give_up = monotonic() + timeout
    try:
        while (served := _attempt(directory, timeout)) is None:
            if monotonic() > give_up:
                break
    except EmbeddedFailed:
        raise
    except OSError as error:
        raise home.unusable(directory, error) from error
    if served is None:
        raise _restless(directory, timeout)
    return served


def _attempt(directory: Path, timeout: float) -> _Served | None:
    """Once: None when a server that did run was ended before it answered us."""
    with ExitStack() as undo:
        with _start_lock(directory, timeout):
            clients = _join(directory)
            undo.callback(os.close, clients)
            place = home.socket_of(directory)
            runs = guardian.is_locked(str(directory / guardian.SERVER))
            launch = None if runs else start(directory, place)
        if _answers(directory, place, timeout):
            undo.pop_all()
            if launch is not None:
                home.record_version(directory, launch.binary.version)
            return _Served(clients, place, home.server_pid(directory))
        if launch is not None and not launch.was_ready():
            raise launch.died()
    return None


def _join(directory: Path) -> int:
    """The descriptor that makes us a client; a guardian that looks has the lock for an instant."""
    clients = guardian.open_lock(str(directory / guardian.CLIENTS))
    fcntl.flock(clients, fcntl.LOCK_SH)
    os.utime(clients)
    return clients


@contextmanager
def _start_lock(directory: Path, timeout: float) -> Iterator[None]:
    """While this is held nobody else starts or stops the server, or joins its clients."""
    give_up = monotonic() + timeout
    while (lock := guardian.try_start_lock(str(directory))) is None:
        if monotonic() > give_up:
            raise _crowded(directory, timeout)
        time.sleep(guardian.PAUSE_S)
    try:
        yield
    finally:
        guardian.unlock(lock)


def _answers(directory: Path, place: Path, timeout: float) -> bool:
    """True once the server answers, False when there is none (any more)."""
    give_up = monotonic() + timeout
    pause = _FIRST_PAUSE_S
    while not (said := _ping(place)) or said.startswith(_ALIVE_BUT_NOT_READY):
        if said:
            give_up = monotonic() + timeout
        elif not guardian.is_locked(str(directory / guardian.SERVER)):
            return False
        elif monotonic() > give_up:
            raise _silent(directory, place, timeout)
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE_S)
    return True


def _ping(place: Path) -> bytes:
    """The server's reply to PING (which may be an error), or nothing."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(_ANSWER_TIMEOUT_S)
        try:
            line.connect(os.fspath(place))
            line.sendall(b"PING\r\n")
            return line.recv(512)
        except OSError:
            return b""


# ------------------------------------------------------------------ what can go wrong


def _crowded(directory: Path, timeout: float) -> EmbeddedFailed:
    return EmbeddedFailed(
        f"another process has been starting or stopping the embedded server in {directory} for "
        f"{timeout:g} s. Try again; if it persists, `fuser {directory / guardian.START}` names it.",
        path=directory,
    )


def _silent(directory: Path, place: Path, timeout: float) -> EmbeddedFailed:
    pid = home.server_pid(directory)
    return EmbeddedFailed(
        f"the embedded server in {directory} runs (pid {pid}) but has not answered at {place} for "
        f"{timeout:g} s. Its log: {directory / home.LOG}. If it hangs, `kill {pid}` and try again.",
        path=directory,
        log=directory / home.LOG,
        pid=pid,
    )


def _restless(directory: Path, timeout: float) -> EmbeddedFailed:
    return EmbeddedFailed(
        f"the embedded server in {directory} has been dying and starting for {timeout:g} s. "
        f"Its log: {directory / home.LOG}.",
        path=directory,
        log=directory / home.LOG,
    )
