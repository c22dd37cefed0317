"""Keeps the registry's word about one worker's agents: who it has, and that it has them no more.

It speaks when a child has said what it can do, when the worker comes back after it was taken for
dead, and at the end. What agents do meanwhile is told by the beats.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from coordq.engine.aio import AsyncEngine
from coordq.errors import CoordqError, InvalidAgent
from coordq.fleet.profile import Profile, make_profile
from coordq.fleet.registry import host, unhost

RETRY_S: Final = 0.5
LOOK_S: Final = 1.0
"""How often it asks whether the worker has come anew."""
LEAVE_S: Final = 1.0

_log = logging.getLogger("coordq.worker")


class Registrar:
    """Speaks for one worker."""

    def __init__(self, engine: AsyncEngine, *, worker: str, incarnation: Callable[[], int]) -> None:
        self._engine = engine
        self._worker = worker
        self._incarnation = incarnation
        self._agents: dict[str, Profile] = {}
        self._told: tuple[int, dict[str, Profile]] = (0, {})
        self._news = asyncio.Event()

    def introduce(self, said: Iterable[Mapping[str, Any]]) -> None:
        """A child is ready: what it says of its agents."""
        self._agents = dict(_profiles(said))
        self._news.set()

    async def run(self) -> None:
        """Tell what is to be told, for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._news.wait()
            self._news.clear()
            while (word := (self._incarnation(), self._agents)) != self._told:
                if await self._tell(word[1]):
                    self._told = word
                else:
                    await asyncio.sleep(RETRY_S * random.uniform(0.5, 1.5))

    async def _tell(self, agents: dict[str, Profile]) -> bool:
        """Whether it was heard. What is refused is said once, and not tried again."""
        if not agents:
            return True
        try:
            changed = await self._engine.run(host(self._worker, agents))
        except CoordqError as error:
            _log.warning("the agents could not be registered: %s", error)
            return False
        if changed < 0:
            _log.error("the registry of agents is full: coordq agents leave NAME --forget")
        return True

    async def leave(self) -> None:
        """The worker ends: it has no agents any more. Patient for a moment only."""
        if not self._told[1]:
            return
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._engine.run(unhost(self._worker))
        except (CoordqError, TimeoutError) as error:
            _log.debug("the registry was not told that the worker ends: %s", error)


def _profiles(said: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, Profile]]:
    """The agents of a child; the registry must not keep a worker from working."""
    for facts in said:
        name, rest = str(facts["name"]), {k: v for k, v in facts.items() if k != "name"}
        try:
            yield name, make_profile(name, **rest)
        except InvalidAgent as error:
            _log.error("an agent is registered without what is wrong with it: %s", error)
            yield name, Profile(role=rest["role"], capabilities=frozenset(rest["capabilities"]))
