"""Real workers for tests: one process tree each, on a real Redis, watched through its own words."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

from coordq.runtime.worker import WorkerSettings
from tests.runtime.tree import Tree

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
        '''Blocks the loop, so long or until there is a file.'''
        with open(path + ".started", "a") as started:
            started.write(f"{os.getpid()} 0 0\\n")
        until = time.monotonic() + seconds
        while time.monotonic() < until and not Path(path).exists():
            time.sleep(0.02)
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


class Fleet(Tree):
    """One worker: a parent and its children. Use it as a context manager."""

    says_when_ready = "serves:"

    def __init__(self, folder: Path, url: str, namespace: str, **settings: Any) -> None:
        super().__init__(folder)
        self.file = folder / "tester.py"
        if not self.file.exists():
            self.file.write_text(textwrap.dedent(AGENT))
        self.settings = WorkerSettings(
            **{"targets": (str(self.file),), "url": url, "namespace": namespace} | settings
        )
        self.ready_times = self.settings.processes

    def command(self) -> list[str]:
        """What to run."""
        return [sys.executable, "-c", _RUN, json.dumps(self.settings.to_dict())]

    def children(self) -> list[int]:
        """The process ids of all children that ever served, in order."""
        return [int(pid) for pid in re.findall(r"child \d+ \(pid (\d+)\) serves", self.log())]


def started(path: Path) -> list[list[int]]:
    """What handlers wrote when they started: pid, attempt, fence."""
    file = Path(f"{path}.started")
    text = file.read_text() if file.exists() else ""
    return [[int(word) for word in line.split()] for line in text.splitlines()]
