"""Keeps the embedded server exactly as long as someone uses it. Runs as a process of its own.

The locks are the truth; there is no pid file that could lie. All are flocks, which the kernel
releases when their holder dies, however it dies:

| file in the directory | held | by |
|---|---|---|
| `start.lock` | exclusive, for moments | whoever starts or stops the server |
| `clients.lock` | shared, for life | every attachment (and children forked with one) |
| `server.lock` | exclusive, for life | the server itself, which inherits it at exec |

The guardian sleeps in the kernel until nobody holds `clients.lock`, lingers for a moment in case
the next command of a shell script follows, and then, under `start.lock`, ends the server and
removes what it leaves. It is the server's parent, so a pid cannot have come to mean a stranger.
When the guardian itself is killed, the kernel (on Linux) asks the server to shut down.

This file is run by path with `python -I -S`, so it imports little and nothing of coordq.
"""

from __future__ import annotations

import _thread
import contextlib
import fcntl
import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` would cost the guardian a megabyte.
    from typing import NoReturn

START = "start.lock"
CLIENTS = "clients.lock"
SERVER = "server.lock"
SOCKET = "redis.sock"

LINGER_S = 1.0
PAUSE_S = 0.01
BUSY = 3
"""Exit code: another server holds `server.lock`."""

_BUSY_TRIES = 100
_PATIENCE_S = 10
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


def try_start_lock(directory: str) -> int | None:
    """The descriptor of `start.lock`, locked; None while somebody else has it.

    The file is removed by a stopping server, so a lock on a file that is no longer the one in
    the directory is worth nothing.
    """
    path = os.path.join(directory, START)  # noqa: PTH118 - pathlib costs the guardian a megabyte
    descriptor = open_lock(path)
    if try_lock(descriptor) and _is_still(descriptor, path):
        return descriptor
    os.close(descriptor)
    return None


def unlock(descriptor: int) -> None:
    """Release a lock for good, also if a process forked meanwhile has a copy of it."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def open_lock(path: str) -> int:
    """A descriptor of the lock file, which is made if it is not there."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(descriptor: int) -> bool:
    """Lock exclusively if nobody else holds the lock; never waits."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: str) -> bool:
    """Whether somebody holds the lock exclusively. Two who look do not see each other."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return True
    unlock(descriptor)
    return False


def _is_still(descriptor: int, path: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))  # noqa: PTH116
    return False


# ------------------------------------------------------------------ the process


def main(directory: str, socket: str, command: list[str]) -> int:
    """Take `server.lock`, then leave a guardian and its server behind. Returns an exit code."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # Inherited as ignored, it would hide the end.
    os.umask(0o077)
    os.chdir("/")
    lock = _server_lock(directory)
    if lock is None:
        return BUSY
    if os.fork() == 0:
        try:
            _Guardian(directory, socket, _serve(command, lock)).keep()
        except OSError as error:
            _complain("guardian", error)
        finally:
            os._exit(1)
    return 0


def _server_lock(directory: str) -> int | None:
    """`server.lock`; whoever merely looks whether it is taken has it for an instant."""
    lock = open_lock(os.path.join(directory, SERVER))  # noqa: PTH118
    for _ in range(_BUSY_TRIES):
        if try_lock(lock):
            return lock
        time.sleep(PAUSE_S)
    return None


def _serve(command: list[str], lock: int) -> int:
    """Start the server, give it the lock with its pid inside, and return the pid."""
    guardian = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            os.set_inheritable(lock, True)  # noqa: FBT003 - the name says what is set
            os.ftruncate(lock, 0)
            os.write(lock, b"%d\n" % os.getpid())
            _die_with(guardian)
            os.execv(command[0], command)  # noqa: S606 - a fixed list of arguments
        except OSError as error:
            _complain(command[0], error)
        finally:
            os._exit(1)
    os.close(lock)
    return pid


def _complain(who: str, error: OSError) -> None:
    """Into the server's log, which is our standard error."""
    sys.stderr.write(f"{who}: {error.strerror}\n")
    sys.stderr.flush()


def _die_with(guardian: int) -> None:
    """Let the kernel ask this process to end when its guardian is gone (Linux only)."""
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, OSError, AttributeError):
            import ctypes  # Only the server pays for it, and only until exec.

            ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
            if os.getppid() != guardian:
                os._exit(1)


class _Guardian:
    """Two waits, both in the kernel: for the last client to leave, and for the server to die."""

    def __init__(self, directory: str, socket: str, server: int) -> None:
        self.directory = directory
        self.socket = socket
        self.server = server
        self.clients = open_lock(self._file(CLIENTS))
        self.ended = _thread.allocate_lock()
        self.ended.acquire()
        _thread.start_new_thread(self._watch, ())

    def keep(self) -> None:
        """Wait until nobody uses the server, then end it and this process."""
        while True:
            self._until_unused()
            start = self._start_lock()
            if start is None or try_lock(self.clients):
                self._stop()
                self._leave()
            unlock(start)

    def _watch(self) -> None:
        """The server ended. If we did not ask for that, its users may soon start another.

        That one brings a guardian of its own, and this one is done.
        """
        os.waitpid(self.server, 0)
        self.ended.release()
        while not self._is_taken_over():
            time.sleep(LINGER_S)
        os._exit(0)

    def _is_taken_over(self) -> bool:
        """Whether another server lives here; a lock that lasts for a moment does not say so.

        Ours outlives a server that dies at once, until the process that started us has ended.
        """
        if not is_locked(self._file(SERVER)):
            return False
        time.sleep(LINGER_S)
        return is_locked(self._file(SERVER))

    def _until_unused(self) -> None:
        """Returns when nobody came for `LINGER_S` and nobody is there. Who comes, touches."""
        while True:
            fcntl.flock(self.clients, fcntl.LOCK_EX)
            fcntl.flock(self.clients, fcntl.LOCK_UN)
            came = os.fstat(self.clients).st_mtime_ns
            time.sleep(LINGER_S)
            if os.fstat(self.clients).st_mtime_ns == came:
                return

    def _start_lock(self) -> int | None:
        """`start.lock`, or None when the directory itself is gone."""
        while True:
            try:
                descriptor = try_start_lock(self.directory)
            except OSError:
                return None
            if descriptor is not None:
                return descriptor
            time.sleep(PAUSE_S)

    def _stop(self) -> None:
        """SIGTERM makes Redis write out its file and go; insist, and in the end force it."""
        for _ in range(_PATIENCE_S):
            self._signal(signal.SIGTERM)
            if self.ended.acquire(timeout=1):
                return
        self._signal(signal.SIGKILL)
        self.ended.acquire(timeout=_PATIENCE_S)

    def _signal(self, number: int) -> None:
        if self.ended.locked():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.server, number)

    def _leave(self) -> NoReturn:
        """Remove socket and locks, unless another server has taken over. `start.lock` is held."""
        with contextlib.suppress(OSError):
            if not is_locked(self._file(SERVER)):
                self._tidy()
        os._exit(0)

    def _tidy(self) -> None:
        """`start.lock` goes last: until then nobody else can begin anything here."""
        folder = os.path.dirname(self.socket)  # noqa: PTH120
        for path in (self.socket, *map(self._file, (SOCKET, CLIENTS, SERVER))):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108
        if folder != self.directory:
            with contextlib.suppress(OSError):
                os.rmdir(folder)  # noqa: PTH106
        os.unlink(self._file(START))  # noqa: PTH108

    def _file(self, name: str) -> str:
        return os.path.join(self.directory, name)  # noqa: PTH118


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
