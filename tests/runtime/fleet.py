"""Real workers for tests: one process tree each, on a real Redis, watched through its own words."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from coordq.runtime.worker import WorkerSettings
from tests.waiting import wait_until

_RUN = """
import json, sys
from coordq.runtime.start import run_worker
from coordq.runtime.worker import WorkerSettings
sys.exit(run_worker(WorkerSettings.from_dict(json.loads(sys.argv[1]))))
"""

AGENT = """
    import asyncio
    import os
    import signal
    import time
    from pathlib import Path
    from coordq.work.agent import Agent
    from coordq.work.context import Context

    agent = Agent("tester")

    @agent.task
    async def echo(text: str) -> str:
        return text

    @agent.task
    async def pid() -> int:
        return os.getpid()

    @agent.task(max_attempts=1)
    async def gated(ctx: Context, path: str) -> int:
        '''Says that it has started, and waits for a file.'''
        with open(path + ".started", "a") as started:
            started.write(f"{os.getpid()} {ctx.attempt} {ctx.fence}\\n")
        while not Path(path).exists():
            await asyncio.sleep(0.02)
        return ctx.attempt

    @agent.task
    def blocking(path: str) -> str:
        '''Like gated, in a thread.'''
        with open(path + ".started", "a") as started:
            started.write(f"{os.getpid()} 0 0\\n")
        while not Path(path).exists():
            time.sleep(0.02)
        return "done"

    @agent.task
    async def rude(path: str, seconds: float) -> str:
        '''Blocks the loop.'''
        with open(path + ".started", "a") as started:
            started.write(f"{os.getpid()} 0 0\\n")
        time.sleep(seconds)
        return "done"

    @agent.task
    async def talkative(ctx: Context, lines: int) -> None:
        '''Says a lot and ends at once.'''
        for number in range(lines):
            ctx.log(f"line {number}")
            ctx.progress(number + 1, lines)

    @agent.task
    def delegating(ctx: Context, text: str) -> str:
        '''Enqueues from a thread.'''
        return ctx.client.work.enqueue("echo", {"text": text}).id

    @agent.task
    async def deadly() -> None:
        '''Kills its process.'''
        os.kill(os.getpid(), signal.SIGKILL)
"""


class Fleet:
    """One worker: a parent and its children. Use it as a context manager."""

    def __init__(self, folder: Path, url: str, namespace: str, **settings: Any) -> None:
        self.folder = folder
        self.file = folder / "tester.py"
        if not self.file.exists():
            self.file.write_text(textwrap.dedent(AGENT))
        self.settings = WorkerSettings(
            **{"targets": (str(self.file),), "url": url, "namespace": namespace} | settings
        )
        self._log = folder / f"worker-{id(self)}.log"
        self._process: subprocess.Popen[bytes]

    def start(self, *, ready: bool = True) -> Self:
        """Start it and wait until all children serve."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _RUN, json.dumps(self.settings.to_dict())],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if ready:
            self.wait_for("serves:", times=self.settings.processes)
        return self

    @property
    def pid(self) -> int:
        """The parent's process id."""
        return self._process.pid

    def log(self) -> str:
        """What the tree wrote so far."""
        return self._log.read_text(errors="replace")

    def wait_for(self, text: str, *, times: int = 1, within: float = 15) -> None:
        """Wait until the tree has written `text` so often."""

        def seen() -> bool:
            assert self.running or self.log().count(text) >= times, self.log()
            return self.log().count(text) >= times

        try:
            wait_until(seen, within=within, what=f"{text!r} in the log")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    @property
    def running(self) -> bool:
        """Whether the parent is there."""
        return self._process.poll() is None

    def children(self) -> list[int]:
        """The process ids of all children that ever served, in order."""
        return [int(pid) for pid in re.findall(r"child \d+ \(pid (\d+)\) serves", self.log())]

    def signal(self, number: int, *, pid: int | None = None) -> None:
        """Send a signal to the parent, or to a child."""
        os.kill(pid or self.pid, number)

    def signal_all(self, number: int) -> None:
        """Send a signal to the whole tree."""
        os.killpg(self.pid, number)

    def wait(self, timeout: float = 15) -> int:
        """Wait for the parent's end; returns its exit code."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker did not end:\n{self.log()}") from None

    def stop(self) -> int:
        """End it in good order; returns its exit code."""
        if self.running:
            self.signal(signal.SIGTERM)
        return self.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        sys.stdout.write(self.log())  # pytest shows it when the test fails


def started(path: Path) -> list[list[int]]:
    """What handlers wrote when they started: pid, attempt, fence."""
    file = Path(f"{path}.started")
    text = file.read_text() if file.exists() else ""
    return [[int(word) for word in line.split()] for line in text.splitlines()]
