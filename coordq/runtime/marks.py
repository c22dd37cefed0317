"""What wakes a reader that has nothing to do: marks, and a look now and then.

Whoever publishes leaves a mark for one of those who wait; a reader without room passes it on. A
mark is a hint, and can be lost with who took it. So every few seconds plain commands look whether
there is something all the same: cheaper than a take, most of which would be in vain.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from coordq import clock
from coordq.bus.group import Group
from coordq.bus.take import hold
from coordq.client.delivery import EVENTS_EVERY_S
from coordq.engine import bus_keys, keys
from coordq.engine.aio import AsyncEngine, Line
from coordq.errors import CoordqError

BLOCK_S: Final = 2.0
BLOCK_MAX_S: Final = 6.0
"""Between these, a third of the visibility: what a silent reader holds is seen before it is due."""
HEARD_S: Final = 20.0
"""At least so often Redis hears of a reader: after a minute it is taken for dead."""


class Marks:
    """Watches for one reader, on one shard. `watch`, then `rest` after each take in vain; `close`.

    room: how many messages the reader would take. hope: called when a take is worth while.
    complain: awaited when Redis refuses something.
    """

    def __init__(
        self,
        shard: int,
        *,
        engine: AsyncEngine,
        reader: str,
        groups: Sequence[Group],
        room: Callable[[], int],
        hope: Callable[[], None],
        complain: Callable[[CoordqError], Awaitable[None]],
    ) -> None:
        self._shard = shard
        self._engine = engine
        self._reader = reader
        self._names = tuple(group.name for group in groups)
        self._tells = any(group.tells for group in groups)
        visibility_s = min(group.visibility_s for group in groups)
        self._block_s = max(BLOCK_S, min(BLOCK_MAX_S, visibility_s / 3))
        self._room = room
        self._hope = hope
        self._complain = complain
        self._resting = asyncio.Event()
        self._heard_s = 0.0
        """When Redis last heard of the reader."""
        self._line: Line | None = None
        self._others: tuple[str, ...] = ()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to watch."""
        self._line = await self._engine.dedicated(self._shard)
        self.watch()

    def watch(self, others: Sequence[str] = ()) -> None:
        """From now on for marks of its own groups, and of these mailboxes of others."""
        self.stop()
        if self._line is not None:
            task = asyncio.create_task(self._watch(self._line, (*self._names, *others)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Watch no more: a mark that came now would be lost on us."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Hang up."""
        self.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._line is not None:
            await self._line.close()

    def rest(self) -> None:
        """A take has found nothing, just now."""
        self._heard_s = clock.monotonic()
        self._resting.set()

    def wake(self) -> None:
        """A take is on its way: no mark is wanted."""
        self._resting.clear()

    async def _watch(self, line: Line, names: Sequence[str]) -> None:
        root = keys.root(self._engine.namespace, self._shard)
        marks = [bus_keys.marker(root, name) for name in names]
        block_s = EVENTS_EVERY_S if self._tells else self._block_s
        while True:
            await self._resting.wait()
            try:
                timeout_s = block_s * random.uniform(0.9, 1.0)
                mark = await line.block("BZPOPMIN", *marks, timeout_s=timeout_s)
                if mark is None and not await self._is_something(line, root, names):
                    continue
                if mark is not None and not self._room():
                    await line.execute("ZADD", mark[0], mark[2], mark[1])  # others may have room
            except CoordqError as error:
                await self._complain(error)
            self._hope()

    async def _is_something(self, line: Line, root: str, names: Sequence[str]) -> bool:
        """Whether there may be something to read, or a group is gone; events leave no trace."""
        if self._tells:
            return True
        if clock.monotonic() - self._heard_s > HEARD_S:
            await line.run(hold(self._shard, self._reader, ()))
            self._heard_s = clock.monotonic()
        some = [key(root, name) for name in names for key in (bus_keys.heads, bus_keys.held)]
        groups = ("HMGET", bus_keys.groups(root), *self._names)
        replies = await line.attempt(groups, ("EXISTS", *some))
        return replies is None or None in replies[0] or replies[1] > 0
