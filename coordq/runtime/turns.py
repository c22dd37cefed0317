"""Whose turn it is: the messages that wait in a child, and the handlers that run.

Most handlers of messages are over in microseconds, less than an asyncio task costs. So one task
handles message after message as long as none of them waits for anything; when one does, the next
task goes on with the others, and so on, up to as many as the child may handle at once. A task is
used for another message only when the last one left it as it was: not stopped, no context variable
set. Between tasks the loop gets round to Redis.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Final

from coordq import clock

if TYPE_CHECKING:
    from coordq.runtime.ear import Ear
    from coordq.runtime.heard import Heard
    from coordq.work.listener import Listener

AHEAD_S: Final = 0.1
"""So much work is taken ahead, by the pace of what ran last."""
AHEAD_MAX: Final = 400
TURN_S: Final = 0.004
"""So long one task goes on without giving way to the loop."""

Handle = Callable[["Ear", "Heard"], Coroutine[Any, Any, bool]]


class _Line:
    """The messages of one listener that wait for their turn, and how many run."""

    __slots__ = ("listed", "listener", "running", "waiting")

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.waiting: deque[tuple[Ear, Heard]] = deque()
        self.running = 0
        self.listed = False
        """It is among those that are ready."""

    @property
    def may_start(self) -> bool:
        most = self.listener.concurrency
        return bool(self.waiting) and (most is None or self.running < most)


class Turns:
    """Messages of some listeners, each listener in turn.

    handle: is given a message whose turn has come; false when its task shall not be used again.
    rested: called when there is room for more. slots: how many are handled at once.
    """

    def __init__(
        self,
        listeners: Iterable[Listener],
        *,
        handle: Handle,
        rested: Callable[[], None],
        slots: int,
    ) -> None:
        self.running: dict[str, Ear] = {}
        """What is being handled, by member, and who took it."""
        self._lines = {one.name: _Line(one) for one in listeners}
        self._handle = handle
        self._rested = rested
        self._slots = slots
        self._ready: deque[_Line] = deque()
        """Those of which one may start, the next one first."""
        self._waiting = 0
        self._pace_s = 0.0
        """How long a message took lately."""
        self._context: Context = copy_context()
        self._tasks: set[asyncio.Task[None]] = set()
        self._armed = False

    @property
    def busy(self) -> bool:
        """Whether anything is being handled, or about to."""
        return bool(self.running) or self._waiting > 0

    def room(self) -> int:
        """How many more may be taken: free slots, and a moment's work ahead."""
        ahead = AHEAD_MAX if not self._pace_s else int(self._slots * AHEAD_S / self._pace_s)
        most = self._slots + min(AHEAD_MAX, ahead)
        return max(0, most - len(self.running) - self._waiting)

    def add(self, ear: Ear, one: Heard) -> None:
        """A message stands in line; `go` when all have been added."""
        line = self._lines[one.listener.name]
        line.waiting.append((ear, one))
        self._waiting += 1
        self._list(line)

    def _list(self, line: _Line) -> None:
        if not line.listed and line.may_start:
            line.listed = True
            self._ready.append(line)

    def clear(self) -> Iterator[tuple[Ear, Heard]]:
        """All that has not begun; none of it will."""
        for line in self._lines.values():
            while line.waiting:
                self._waiting -= 1
                yield line.waiting.popleft()

    def go(self) -> None:
        """Start what may start, in the next turn of the loop."""
        if not self._armed and self._ready and len(self.running) < self._slots:
            self._armed = True
            asyncio.get_running_loop().call_soon(self._launch)

    def _launch(self) -> None:
        self._armed = False
        if self._ready and len(self.running) < self._slots:
            task = asyncio.create_task(self._work(), context=self._context.copy())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            self.go()  # after its first step: what is left when it waits for something

    async def _work(self) -> None:
        """Handle one message after the other, while that is quick."""
        task = asyncio.current_task()
        assert task is not None
        began = now = clock.monotonic()
        again = True
        while again and now - began < TURN_S and (line := self._next()) is not None:
            ear, one = line.waiting.popleft()
            self._waiting -= 1
            line.running += 1
            self._list(line)
            self.running[one.member] = ear
            try:
                again = await self._handle(ear, one) and self._is_clean(task)
            finally:
                line.running -= 1
                del self.running[one.member]
                self._list(line)
            before, now = now, clock.monotonic()
            took_s = now - before
            self._pace_s = took_s if not self._pace_s else 0.9 * self._pace_s + 0.1 * took_s
        self.go()
        self._rested()

    def _next(self) -> _Line | None:
        """The line whose turn it is."""
        if len(self.running) >= self._slots:
            return None
        while self._ready:
            line = self._ready.popleft()
            line.listed = False
            if line.may_start:
                return line
        return None

    def _is_clean(self, task: asyncio.Task[Any]) -> bool:
        """Whether a handler has left its task as it was: the next message need not know of it."""
        try:
            return copy_context() == self._context and not task.cancelling()
        except Exception:  # noqa: BLE001 - variables of the user's that cannot be compared
            return False

    async def emptied(self) -> None:
        """Wait until all that was begun has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)
