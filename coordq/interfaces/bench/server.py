"""A private redis-server for the measurement, without persistence, and what it says of itself."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from coordq import clock
from coordq.engine.redis_binary import find_binary
from coordq.engine.schema import read_info
from coordq.interfaces.bench.raw import RawClient

START_S = 10.0
_OWN = frozenset({"info", "flushall", "ping", "config|resetstat", "hello", "client|setname"})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The server's counters at a moment."""

    calls: int
    """Commands, those inside scripts included, ours of measuring left out."""
    cpu_s: float
    memory: int
    """Bytes in use."""


class Server:
    """A redis-server on a free loopback port, ended with the object.

    words: more arguments for it. port: 0 for any.
    """

    def __init__(self, *words: str, port: int = 0) -> None:
        binary = find_binary()
        self.version = ".".join(map(str, binary.version))
        self._dir = tempfile.mkdtemp(prefix="coordq-bench-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process = subprocess.Popen(
            [
                str(binary.path),
                *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._dir),
                *("--save", "", "--appendonly", "no", "--loglevel", "warning"),
                *words,
            ],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.raw = self._connect()

    def _connect(self) -> RawClient:
        deadline = clock.monotonic() + START_S
        while True:
            try:
                return RawClient(self.port)
            except OSError:
                if clock.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def flush(self) -> None:
        """Empty it."""
        self.raw.command("FLUSHALL")

    def snapshot(self) -> Snapshot:
        """Its counters now."""
        fields = read_info(self.raw.command("INFO", "everything"))
        calls = sum(
            int(value.split(",")[0].partition("=")[2])
            for name, value in fields.items()
            if name.startswith("cmdstat_") and name.removeprefix("cmdstat_") not in _OWN
        )
        cpu_s = float(fields["used_cpu_sys"]) + float(fields["used_cpu_user"])
        return Snapshot(calls, cpu_s, int(fields["used_memory"]))

    def script_us(self) -> float:
        """How long scripts have run so far, in microseconds."""
        fields = read_info(self.raw.command("INFO", "commandstats"))
        rows = [fields.get(f"cmdstat_{name}", "") for name in ("evalsha", "eval")]
        return sum(float(row.partition("usec=")[2].partition(",")[0] or 0) for row in rows)

    def close(self) -> None:
        """End it and remove its directory."""
        self.raw.close()
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self._dir, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def pss_mb(pid: int) -> float:
    """A process's proportional share of memory, in MiB; 0 where /proc does not say."""
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(row.split()[1]) for row in rows if row.startswith("Pss:")) / 1024


def cpu_seconds(pid: int) -> float:
    """What a process has used of a core so far; 0 where /proc does not say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    model = ""
    try:
        rows = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((row.partition(":")[2].strip() for row in rows if "model name" in row), "")
    except OSError:
        pass
    return {"cores": os.cpu_count(), "cpu": model}
