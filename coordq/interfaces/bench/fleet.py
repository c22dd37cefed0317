"""Worker processes under measurement."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from coordq import clock, settings
from coordq.interfaces.bench.noop import SLOT

PATIENCE_S = 120.0
_TARGET = Path(__file__).with_name("noop.py")


class Slots:
    """The file in which tasks say when they ran."""

    def __init__(self, size: int) -> None:
        descriptor, self.path = tempfile.mkstemp(prefix="coordq-bench-")
        os.ftruncate(descriptor, size * SLOT.size)
        os.close(descriptor)

    def read(self) -> list[tuple[float, int]]:
        """(moment, process) by slot; process 0 where nobody has stamped yet."""
        return list(SLOT.iter_unpack(Path(self.path).read_bytes()))

    def stamps(self) -> list[tuple[float, int]]:
        """(moment, process) of the tasks that have run."""
        return [(at, pid) for at, pid in self.read() if pid]

    def wait_for(self, amount: int) -> list[tuple[float, int]]:
        """The stamps once `amount` tasks have run. Raises TimeoutError."""
        deadline = clock.monotonic() + PATIENCE_S
        while len(stamps := self.stamps()) < amount:
            if clock.monotonic() > deadline:
                raise TimeoutError(f"only {len(stamps)} of {amount} tasks ran")
            time.sleep(0.1)
        return stamps

    def close(self) -> None:
        """Remove the file."""
        with suppress(OSError):
            Path(self.path).unlink()


@contextmanager
def worker(
    url: str, slots: Slots, *, children: int = 1, concurrency: int = 100, agents: Path = _TARGET
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker with so many children, ended at exit. agents: the file that has them."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "coordq", "worker", str(agents), "--url", url),
            *("--processes", str(children), "--concurrency", str(concurrency)),
            *("--log-level", "warning"),
        ],
        env=settings.environment(COORDQ_BENCH_SLOTS=slots.path),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def drain_rate(stamps: list[tuple[float, int]], children: int) -> float:
    """Tasks a second between the first and the last; with several children, once all had begun."""
    moments = sorted(at for at, _ in stamps)
    first_of: dict[int, float] = {}
    for at, pid in stamps:
        first_of[pid] = min(at, first_of.get(pid, at))
    begin = max(first_of.values()) if children > 1 else moments[0]
    after = sum(at > begin for at in moments)
    return after / (moments[-1] - begin)
