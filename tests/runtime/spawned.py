"""Real fleets for tests: a spawner and its workers, watched through its words and through Redis."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import textwrap
from pathlib import Path
from typing import Any

from coordq.client.client import Client, connect
from coordq.fleet.spawners import enlisted
from coordq.interfaces.ordering import give
from tests.runtime.fleet import AGENT
from tests.runtime.tree import Tree
from tests.waiting import wait_until

MORE = """
    @agent.task
    async def about() -> dict:
        '''Where and how it runs.'''
        print("said by a handler")
        return {
            "level": os.environ.get("LEVEL"),
            "secret": os.environ.get("COORDQ_WORKER_ZONE"),
            "nice": os.nice(0),
            "folder": os.getcwd(),
        }

    @agent.task(max_attempts=1)
    async def chatty(path: str) -> str:
        '''Prints until it may end.'''
        with open(path + ".started", "a") as started:
            started.write(f"{os.getpid()} 0 0\\n")
        while not Path(path).exists():
            print("x" * 1000)
            await asyncio.sleep(0.002)
        return "done"

    @agent.task
    async def quick(path: str, number: int) -> int:
        '''Leaves a line for each run.'''
        await asyncio.sleep(0.02)
        with open(path, "a") as lines:
            lines.write(f"{number}\\n")
        return number
"""
GROUP = """
[groups.web]
targets = ["./tester.py"]
beat = "0.3s"
lease = "30s"
restart = { first = "0.1s", longest = "1s" }
"""


class Spawned(Tree):
    """`coordq fleet up` with a file of its own. Use it as a context manager."""

    says_when_ready = "started: pid"

    def __init__(self, folder: Path, url: str, namespace: str, text: str, **options: str) -> None:
        super().__init__(folder)
        self.file = folder / "fleet.toml"
        self.file.write_text(f'url = "{url}"\nnamespace = "{namespace}"\n{text}')
        self.agents = folder / "tester.py"
        self.agents.write_text(textwrap.dedent(AGENT) + textwrap.dedent(MORE))
        self._options = options
        self._where = url, namespace

    def command(self) -> list[str]:
        """What to run."""
        options = [word for name, value in self._options.items() for word in (f"--{name}", value)]
        return [sys.executable, "-m", "coordq", "fleet", "up", str(self.file), *options]

    def wait_until_serving(self, *, times: int = 1) -> None:
        """Wait until so many members have been seen at work, since the beginning."""
        pattern = re.compile(r"^\d\d:\d\d:\d\d fleet \S+ \S+ serves$", re.MULTILINE)

        def seen() -> bool:
            assert self.running, self.log()
            return len(pattern.findall(self.log())) >= times

        wait_until(seen, what=f"{times} members that serve")

    def workers(self) -> list[int]:
        """The process ids of all workers that were ever started, in order."""
        pattern = r" (?:worker|supervisor) \S+ started: pid (\d+)"
        return [int(pid) for pid in re.findall(pattern, self.log())]

    def _connect(self) -> Client:
        url, namespace = self._where
        return connect(url, namespace=namespace)

    def status(self) -> dict[str, Any]:
        """What it says of itself in Redis; empty when it does not."""
        with self._connect() as client:
            found = client.engine.run(enlisted())
        return found[0] if found else {}

    def group(self, name: str = "web") -> dict[str, Any]:
        """What it says of one group, as soon as it does."""

        def said() -> dict[str, Any] | None:
            groups: list[dict[str, Any]] = self.status().get("groups", [])
            return next((group for group in groups if group["name"] == name), None)

        found = wait_until(said, what=f"word of group {name}")
        assert found is not None
        return found

    def order(self, **message: Any) -> tuple[str, list[str]]:
        """Tell it to do something: its answer, and what it said before that."""
        said: list[str] = []
        with self._connect() as client:
            _, text = give(client.engine, message, fleet="", timeout_s=60, tell=said.append)
        return text, said

    def __exit__(self, *raised: object) -> None:
        super().__exit__(*raised)
        for pid in self.workers():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


def events(client: Client, *kinds: str) -> list[tuple[str, str, str]]:
    """What happened of these kinds: kind, subject, detail."""
    return [
        (event.kind, event.subject, event.detail)
        for event in client.work.events()
        if event.kind in kinds
    ]
