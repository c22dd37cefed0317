"""What producers and handlers write down while engines fail, and what must be true of it after.

Handlers write their number and fence into a file before they work; a producer keeps the ids that
were acknowledged. `Books.check` holds that against the records and events of the server that is
left.
"""

from __future__ import annotations

import textwrap
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from coordq.client.client import Client
from coordq.errors import NotReplicated, QueueFull, RedisFull, TaskNotFound
from coordq.work.task import Task
from tests.runtime.fleet import Fleet
from tests.waiting import wait_until
from tests.work.desk import Desk

AGENT = """
    import asyncio
    from coordq.work.agent import Agent
    from coordq.work.context import Context

    agent = Agent("scribe")

    @agent.task(max_attempts=1)
    async def scribble(ctx: Context, n: int, book: str, seconds: float = 0.01) -> int:
        '''Writes itself down and works a little.'''
        with open(book, "a") as pages:
            pages.write(f"{n} {ctx.fence}\\n")
        await asyncio.sleep(seconds)
        return n
"""
CALM = {"beat_s": 0.5, "lease_s": 20.0, "concurrency": 8}
"""A fleet that a failover of some seconds does not cost a lease."""


class Books:
    """One folder's book of executions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._book = folder / "executions"

    def fleet(self, url: str, namespace: str, **settings: Any) -> Fleet:
        """A worker for `scribble`, and for the tester's tasks."""
        scribe = self.folder / "scribe.py"
        scribe.write_text(textwrap.dedent(AGENT))
        made = Fleet(self.folder, url, namespace, **CALM | settings)
        targets = (str(scribe), str(made.file))
        return Fleet(self.folder, url, namespace, **CALM | {"targets": targets} | settings)

    def args(self, number: int, *, seconds: float = 0.01) -> dict[str, Any]:
        """Arguments of a `scribble`."""
        return {"n": number, "book": str(self._book), "seconds": seconds}

    def runs(self) -> list[tuple[int, int]]:
        """Every execution that began: number, fence."""
        text = self._book.read_text() if self._book.exists() else ""
        return [(int(n), int(fence)) for n, fence in map(str.split, text.splitlines())]

    def wait_for_runs(self, amount: int, *, within: float = 60) -> None:
        """Wait until so many executions have begun."""
        wait_until(lambda: len(self.runs()) >= amount, within=within, what=f"{amount} executions")

    def check(
        self, client: Client, acknowledged: dict[str, int], *, may_be_gone: bool = False
    ) -> list[str]:
        """Every acknowledged task has ended well, once; the ids that nobody knows any more.

        Its committed fence is the highest under which it ran, no fence was given twice, and the
        books of each shard add up.
        """
        wait_until(lambda: _is_idle(client), within=60, what="all work to be done")
        tasks: dict[str, Task] = {}
        for task_id in acknowledged:
            with suppress(TaskNotFound):
                tasks[task_id] = client.work.get(task_id)
        gone = [task_id for task_id in acknowledged if task_id not in tasks]
        assert may_be_gone or not gone, f"{len(gone)} acknowledged tasks are lost"
        fences: dict[int, list[int]] = {}
        for number, fence in self.runs():
            fences.setdefault(number, []).append(fence)
        for task_id, task in tasks.items():
            ran = fences.get(acknowledged[task_id], [])
            assert task.state == "succeeded", f"{task_id} is {task.state}: {task.error}"
            assert task.fence == max(ran, default=-1), f"{task_id} committed {task.fence} of {ran}"
        given = [fence for ran in fences.values() for fence in ran]
        assert len(set(given)) == len(given), "a fence was given out twice"
        commits = Counter(one.subject for one in client.work.events() if one.kind == "succeeded")
        assert max(commits.values(), default=0) <= 1, "a task was committed twice"
        for shard in range(client.engine.shards):
            Desk(client.engine, shard).audit()
        return gone

    def runs_of(self, number: int) -> int:
        """How often a number was executed."""
        return sum(n == number for n, _ in self.runs())


def _is_idle(client: Client) -> bool:
    stats = client.work.queue("default")
    return stats.ready == stats.running == stats.scheduled == 0


class Producer:
    """Enqueues without pause, in a thread, until the block ends."""

    def __init__(self, client: Client, books: Books, *, pace_s: float = 0.01) -> None:
        self.acknowledged: dict[str, int] = {}
        self.confirmed: set[str] = set()
        """Those that a replica has confirmed."""
        self.refused = 0
        """How often Redis had no room."""
        self.durability = "primary"
        self._client, self._books = client, books
        self._pace_s = pace_s
        self._numbers = 0
        self._end = threading.Event()
        self._trouble: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def wait_for(self, more: int, *, within: float = 90) -> None:
        """Wait until so many more were acknowledged."""
        wanted = len(self.acknowledged) + more

        def there() -> bool:
            assert self._trouble is None, repr(self._trouble)
            return len(self.acknowledged) >= wanted

        wait_until(there, within=within, what=f"{more} more enqueues")

    def _run(self) -> None:
        try:
            while not self._end.wait(self._pace_s):
                self._enqueue(self._numbers)
                self._numbers += 1
        except Exception as error:  # noqa: BLE001 - the test raises it
            self._trouble = error

    def _enqueue(self, number: int) -> None:
        args = self._books.args(number)
        try:
            handle = self._client.work.enqueue("scribble", args, durability=self.durability)
        except NotReplicated as error:
            if not error.ids:
                self.durability = "primary"  # there is no replica any more
            return
        except (RedisFull, QueueFull):
            self.refused += 1
            return
        self.acknowledged[handle.id] = number
        if self.durability == "replica":
            self.confirmed.add(handle.id)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join(60)
        assert self._trouble is None or error, repr(self._trouble)
