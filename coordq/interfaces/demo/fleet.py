"""Who does the work: a worker with several children, of which one is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import coordq
from coordq import clock
from coordq.errors import CoordqError
from coordq.runtime.loader import builtin_workers

if TYPE_CHECKING:
    from coordq.client.client import Client

START_S: Final = 120.0  # for the fleet to come up
POLL_S: Final = 0.1
CONCURRENCY: Final = 4  # per child: parsing keeps a processor busy, it does not wait


class Fleet:
    """One `coordq worker` with `processes` children, on the audit agents that come with coordq."""

    def __init__(self, url: str, namespace: str, folder: Path, processes: int) -> None:
        self.processes = processes
        self._output = folder / "worker.log"
        home = Path(coordq.__path__[0]).resolve().parent
        command = [sys.executable, "-m", "coordq", "worker", str(builtin_workers() / "audit.py")]
        command += ["--url", url, "--namespace", namespace, "--queues", "default"]
        command += ["--processes", str(processes), "--concurrency", str(CONCURRENCY)]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                # Not the user's folder: nothing in it shall stand in for a library.
                cwd=folder if home.name in {"site-packages", "dist-packages"} else home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the demo, which then ends the fleet
            )

    def children(self, client: Client) -> list[dict[str, Any]]:
        """What this fleet's parent says about its children that serve: pid, running, ..."""
        for view in client.work.workers():
            if view.info.get("pid") == self._process.pid:
                return [one for one in view.info["children"] if one["state"] == "serving"]
        return []

    def wait_ready(self, client: Client) -> None:
        """Return when all children serve. Raises CoordqError when they do not come."""
        deadline = clock.monotonic() + START_S
        while len(self.children(client)) < self.processes:
            if self._process.poll() is not None or clock.monotonic() > deadline:
                said = self._output.read_text(errors="replace")[-2000:].strip()
                raise CoordqError(f"the worker did not start. It said:\n{said or '(nothing)'}")
            time.sleep(POLL_S)

    def kill_one(self, client: Client) -> int | None:
        """SIGKILL the child that holds most claims. Its pid, or None when there is none."""
        pids = {int(one["pid"]): int(one["running"]) for one in self.children(client)}
        pid = max(pids, key=lambda one: pids[one], default=None)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pid

    def end(self) -> None:
        """End the whole fleet."""
        end(self._process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a leader of a session of processes: drained if it can be, killed if it must be."""
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        with suppress(subprocess.TimeoutExpired):
            process.send_signal(number)
            process.wait(5.0)
            break
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # whoever is left of its session
