"""The Redis of a stage: one server that keeps everything, or master, replica and Sentinel."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

from coordq import clock
from coordq.engine.redis_binary import find_binary
from coordq.errors import CoordqError
from coordq.interfaces.chaos import leash

HOST: Final = "127.0.0.1"
PORTS: Final = range(11_000, 30_000)
"""Five digits each, so that a wire may replace one by another; below what the kernel gives out."""
START_S: Final = 20.0
MASTER: Final = "stage"
DOWN_AFTER_MS: Final = 1000
KEPT: Final = {"save": '""', "appendonly": "yes", "appendfsync": "always", "loglevel": "warning"}
"""A server that is killed has on disk whatever it acknowledged."""


class Server:
    """One redis-server with a folder and a port of its own, which it keeps over restarts."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port = 0
        self.settings = settings
        self.arguments: list[str] = []
        self._binary = find_binary().path
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def ready(self) -> bool:
        """Whether it answers, has read what it kept, and follows its master if it has one."""
        try:
            told = ask(self.port, "INFO")
        except (OSError, CoordqError):
            return False
        return "loading:0" in told and "master_link_status:down" not in told

    def start(self) -> None:
        """Start it and wait until it answers, if only that it is not ready. Raises CoordqError."""
        for port in [self.port] if self.port else random.sample(PORTS, 20):
            if self._started(port):
                self.port = port
                return
        said = (self.folder / "log").read_text(errors="replace")[-2000:]
        raise CoordqError(f"redis-server did not start. It said:\n{said}")

    def _started(self, port: int) -> bool:
        words = [str(self._binary), str(self._write_conf(port)), *self.arguments]
        self._process = leash.spawn(words, output=self.folder / "log")
        deadline = clock.monotonic() + START_S
        while self.running and clock.monotonic() < deadline:
            with suppress(OSError, CoordqError):
                if f"process_id:{self._process.pid}\r\n" in ask(port, "INFO", "server"):
                    return True
            time.sleep(0.02)
        leash.end(self._process)
        return False

    def _write_conf(self, port: int) -> Path:
        conf = self.folder / "redis.conf"
        lines = {"port": str(port), "bind": HOST, "dir": str(self.folder)} | self.settings
        conf.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
        return conf

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._process is not None:
            leash.signal_all([self._process.pid], number)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            leash.end(self._process)

    @property
    def pid(self) -> int:
        """Its process, which may be over."""
        assert self._process is not None, "it was not started"
        return self._process.pid


class _Sentinel(Server):
    """Watches a master, alone. It writes what it learns into its conf."""

    def __init__(self, folder: Path, master: Server) -> None:
        super().__init__(folder)
        self.arguments = ["--sentinel"]
        self._master = master

    def _write_conf(self, port: int) -> Path:
        conf = self.folder / "sentinel.conf"
        conf.write_text(
            f"port {port}\nbind {HOST}\ndir {self.folder}\n"
            f"sentinel monitor {MASTER} {HOST} {self._master.port} 1\n"
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {MASTER} 4000\n"
        )
        return conf


class Redis(Protocol):
    """What a stage asks of its Redis."""

    url: str
    """Where to reach it without a wire."""
    ports: list[int]
    """Of everything a process talks to; a Sentinel first."""

    def master(self) -> Server:
        """The server that takes writes, as far as is known."""

    def wire_url(self, ports: list[int]) -> str:
        """The address for a process whose wires listen on `ports`."""

    def close(self) -> None:
        """End everything."""


class Single:
    """One server."""

    def __init__(self, folder: Path) -> None:
        self._server = Server(folder / "redis", **KEPT)
        self._server.start()
        self.url = self._server.url
        self.ports = [self._server.port]

    def master(self) -> Server:
        """The one there is."""
        return self._server

    def wire_url(self, ports: list[int]) -> str:
        """A plain address."""
        return f"redis://{HOST}:{ports[0]}/0"

    def close(self) -> None:
        """End it."""
        self._server.kill()


class Guarded:
    """A master, a replica, and a Sentinel that promotes it."""

    def __init__(self, folder: Path) -> None:
        quick = KEPT | {"repl-diskless-sync-delay": "0"}
        self._servers = [Server(folder / name, **quick) for name in ("redis-a", "redis-b")]
        first, second = self._servers
        first.start()
        second.settings = second.settings | {"replicaof": f"{HOST} {first.port}"}
        second.start()
        _wait(lambda: "master_link_status:up" in ask(second.port, "INFO", "replication"))
        self._sentinel = _Sentinel(folder / "sentinel", first)
        self._sentinel.start()
        _wait(lambda: "slave" in str(ask(self._sentinel.port, "SENTINEL", "REPLICAS", MASTER)))
        self.ports = [self._sentinel.port, first.port, second.port]
        self.url = self.wire_url(self.ports)

    def master(self) -> Server:
        """Whom the Sentinel names."""
        _, port = ask(self._sentinel.port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        return next(server for server in self._servers if server.port == int(port))

    def start_as_replica(self, server: Server) -> None:
        """Start a former master anew, as a follower of the one there is now."""
        server.settings = server.settings | {"replicaof": f"{HOST} {self.master().port}"}
        server.start()

    def wire_url(self, ports: list[int]) -> str:
        """The address of the Sentinel, or of the wire to it."""
        return f"redis+sentinel://{HOST}:{ports[0]}/{MASTER}"

    def close(self) -> None:
        """End the three."""
        for server in (self._sentinel, *self._servers):
            server.kill()


def ask(port: int, *words: str) -> Any:
    """One command on a connection of its own; text, or a list of texts.

    Raises OSError, and CoordqError for an answer that is an error.
    """
    with socket.create_connection((HOST, port), timeout=2.0) as line:
        request = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        line.sendall(request.encode())
        with line.makefile("rb") as answer:
            return _read(answer)


def _read(answer: Any) -> Any:
    head = answer.readline().decode().strip()
    if not head:
        raise OSError("the server hung up")
    kind, rest = head[0], head[1:]
    if kind == "-":
        raise CoordqError(rest)
    if kind == "$":
        return None if rest == "-1" else answer.read(int(rest) + 2)[:-2].decode(errors="replace")
    if kind == "*":
        return [_read(answer) for _ in range(max(0, int(rest)))]
    return rest


def _wait(condition: Any) -> None:
    deadline = clock.monotonic() + START_S
    while clock.monotonic() < deadline:
        with suppress(OSError, CoordqError):
            if condition():
                return
        time.sleep(0.05)
    raise CoordqError("the servers of the stage did not come up.")
