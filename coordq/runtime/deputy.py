"""Whom the agents of a child stand in for, and who may talk to them.

Both are looked at every two seconds or so: the mailboxes of those who are away are read as well,
and what may not be heard here is told from what may.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Final

from coordq import clock
from coordq.bus.envelope import Message
from coordq.bus.topic import mailbox
from coordq.client.drive import drive_async
from coordq.client.topology_plans import Seen
from coordq.engine import agent_keys, keys
from coordq.engine.aio import AsyncEngine
from coordq.errors import CoordqError
from coordq.fleet.registry import deputies, read_stand_ins

LOOK_S: Final = 2.0
"""How soon a stand-in begins to read what is for another."""


class Deputy:
    """Follows stand-ins and the topology for the mailboxes of one child, if there are any.

    boxes: these mailboxes. adopt: is told which others are read as well, now.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        boxes: Collection[str],
        *,
        adopt: Callable[[Iterable[str]], None],
    ) -> None:
        self._engine = engine
        self._boxes = boxes
        self._adopt = adopt
        self._acting: dict[str, str] = {}
        """Mailboxes of others that are read here, and in whose place by now."""
        self._ever: dict[str, str] = {}
        """Those that ever were: what was taken for them may still be on its way."""
        self._topology = Seen()
        self._task: asyncio.Task[None] | None = None

    async def learn(self) -> None:
        """See who may talk to whom."""
        if self._boxes:
            await drive_async(self._engine, self._topology.compare(clock.monotonic()))

    def start(self) -> None:
        """Begin to look."""
        if self._boxes:
            self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def reader_of(self, group: str) -> str:
        """Which of our own groups reads for this one."""
        return self._ever.get(group, group)

    def unwelcome(self, group: str, message: Message) -> str:
        """Why the topology does not let this message be heard here; "" when it does."""
        if not message.sender or message.channel[0] not in "@*" or group[0] != "@":
            return ""
        view = self._topology.view
        if message.arranged > view.version:
            return ""  # let pass by one that is newer than what is known here
        verdict = view.at_take(message.sender, group[1:], message.arranged)
        return "" if verdict else f"not-connected: {verdict.reason}"

    async def _watch(self) -> None:
        while True:
            with suppress(CoordqError):
                await self._look()
            await asyncio.sleep(LOOK_S * random.uniform(0.9, 1.1))

    async def _look(self) -> None:
        root = keys.root(self._engine.namespace, 0)
        stand_ins = agent_keys.stand_ins(root)
        some = await self._engine.execute(0, "EXISTS", stand_ins, keys.topology(root))
        if not some and not self._acting and not self._topology.view.version:
            return  # as it is in most fleets: one command sees that
        await self.learn()
        known = read_stand_ins(await self._engine.execute(0, "HGETALL", stand_ins))
        self._acting = {
            mailbox(name): mailbox(by)
            for name, by in deputies(known).items()
            if mailbox(by) in self._boxes and mailbox(name) not in self._boxes
        }
        self._ever |= self._acting
        self._adopt(self._acting)
