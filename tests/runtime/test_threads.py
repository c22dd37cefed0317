"""Threads for what blocks: as many as are allowed, and one for whoever could have one."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from coordq.runtime.threads import Threads
from tests.waiting import wait_until_async


class Slow(SimpleQueue[Any]):
    """A line whose threads lose the processor before they look, and after they found nobody."""

    def get_nowait(self) -> Any:
        """What is in front, a moment later."""
        _a_moment_or(self.empty)
        try:
            return super().get_nowait()
        except Empty:
            _a_moment_or(lambda: not self.empty())
            raise


def _a_moment_or(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 0.2
    while time.monotonic() < until and not what():
        time.sleep(0.001)


def test_a_thread_that_is_about_to_be_idle_is_counted_once() -> None:
    """Counted twice, it would be left a call that another thread could have begun."""
    together = threading.Barrier(3)

    async def play() -> None:
        threads = Threads(3)
        threads._jobs = Slow()
        await threads.call(int)
        calls = []
        for number in range(1, 3):
            calls.append(asyncio.create_task(threads.call(together.wait, 60)))
            await wait_until_async(lambda n=number: together.n_waiting == n, what="its turn")  # type: ignore[misc]
        calls.append(asyncio.create_task(threads.call(together.wait, 60)))
        assert sorted(await asyncio.gather(*calls)) == [0, 1, 2]
        threads.close()

    asyncio.run(play())
