"""Threads for what blocks: sync handlers and sync providers of dependencies.

Not concurrent.futures: a thread cannot be stopped from outside, so a handler that outlives its
time limit keeps its thread. Here such a thread no longer counts towards the limit, so it starves
nobody, and all threads are daemons, so it cannot keep the worker from ending.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final

_log: Final = logging.getLogger("coordq.worker")


class _Job:
    __slots__ = ("abandoned", "call", "ended", "future", "loop", "started", "title")

    def __init__(self, call: Callable[[], Any], title: str) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.call = call
        self.title = title
        self.started = self.ended = self.abandoned = False


class Threads:
    """At most `limit` calls at a time; the others wait in line. For one event loop."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        """How many threads wait for a job that nobody has put in line yet. Such a thread and who
        puts a job take turns: one that was counted too often would leave a job to a busy thread."""
        self._live = 0
        self._stuck = 0

    @property
    def stuck(self) -> int:
        """How many threads run something that nobody waits for any more."""
        return self._stuck

    async def call(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call in a thread, with the caller's context variables.

        When the caller is cancelled, a call that has not begun never does; one that has goes on
        unheard, and what comes of it is logged and dropped.
        """
        context = contextvars.copy_context()
        title = getattr(fn, "__qualname__", "a call")
        job = _Job(partial(context.run, fn, *args, **kwargs), title)
        with self._lock:
            self._jobs.put(job)
            self._grow()
        try:
            return await job.future
        except asyncio.CancelledError:
            self._abandon(job)
            raise

    def _grow(self) -> None:
        """Start a thread when none is idle and one more is allowed. Under the lock."""
        if self._idle:
            self._idle -= 1
        elif self._live < self.limit + self._stuck:
            self._live += 1
            name = f"coordq-{self._live}"
            threading.Thread(target=self._work, name=name, daemon=True).start()

    def _abandon(self, job: _Job) -> None:
        job.future.cancel()
        with self._lock:
            job.abandoned = job.started and not job.ended
            self._stuck += job.abandoned
            if job.abandoned and not self._jobs.empty():
                self._grow()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            with self._lock:
                job.started = not job.future.cancelled()
            if job.started:
                self._do(job)
            if self._is_spare():
                return
        with self._lock:
            self._live -= 1

    def _next(self) -> _Job | None:
        with self._lock:
            try:
                return self._jobs.get_nowait()
            except Empty:
                self._idle += 1
        return self._jobs.get()

    def _is_spare(self) -> bool:
        """Whether a thread that was replaced while it was stuck is one too many now."""
        with self._lock:
            spare = self._live > self.limit + self._stuck
            self._live -= spare
            return spare

    def _do(self, job: _Job) -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = job.call()
        except StopIteration as stop:  # which a future cannot carry
            error = RuntimeError(repr(stop))
        except BaseException as raised:  # noqa: BLE001 - it belongs to whoever waits
            error = raised
        with self._lock:
            job.ended = True
            self._stuck -= job.abandoned
        if job.abandoned:
            _log.warning("%s ended after it was given up: its result is dropped", job.title)
            return
        try:
            job.loop.call_soon_threadsafe(_settle, job.future, result, error)
        except RuntimeError:
            _log.warning("%s ended after the event loop: its result is dropped", job.title)

    def close(self) -> None:
        """Let idle threads end. Those that are stuck die with the process."""
        with self._lock:
            live = self._live
        for _ in range(live):
            self._jobs.put(None)


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
