"""The spawner of one fleet: starts its groups, sees to them, takes orders, ends in order.

It is nobody's master: workers talk to Redis, not to it. When it dies they finish what they do.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from typing import Final

from coordq import clock
from coordq.engine.aio import AsyncEngine, open_async_engine
from coordq.fleet.spawners import Facts, inbox_of
from coordq.runtime import inbox
from coordq.runtime.loops import Loops
from coordq.runtime.shutdown import STOP_S, Shutdown, Stage
from coordq.runtime.spawner.bell import Bell
from coordq.runtime.spawner.envoy import Envoy
from coordq.runtime.spawner.group import Group
from coordq.runtime.spawner.member import LATE_S, Phase
from coordq.runtime.spawner.orders import Orders
from coordq.runtime.spawner.recipe import Origin, Recipe

CALL_PATIENCE_S: Final = 1.0
LOOK_S: Final = 2.0
LOOK_SOON_S: Final = 0.2
"""While somebody waits for a member to serve."""
LAST_CALLS_S: Final = 3.0

_log = logging.getLogger("coordq.spawner")


class Spawner:
    """One fleet on one machine, from its first worker to its exit code."""

    def __init__(self, origin: Origin, recipes: list[Recipe]) -> None:
        self._origin = origin
        self._recipes = recipes
        self._started_ms = clock.now_ms()
        self._instance = secrets.token_hex(8)
        self._bell = Bell()
        self._loops = Loops(self._on_failure)
        drain_s = max(recipe.drain_s for recipe in recipes) + STOP_S + LATE_S
        self._shutdown = Shutdown(drain_timeout_s=drain_s, enter=self._enter)
        self._envoy: Envoy
        self._orders: Orders
        self._groups: dict[str, Group] = {}

    async def run(self) -> int:
        """Keep the fleet running until told to end; returns the exit code."""
        origin = self._origin
        engine = await open_async_engine(
            origin.url, namespace=origin.namespace, name=f"coordq:fleet.{origin.fleet}"
        )
        engine.patience_s = CALL_PATIENCE_S
        try:
            return await self._run(engine)
        finally:
            await engine.close()

    async def _run(self, engine: AsyncEngine) -> int:
        name = self._origin.fleet
        self._envoy = Envoy(engine, name=name, instance=self._instance, info=self._info)
        for recipe in self._recipes:
            form = self._origin.log_format
            group = Group(recipe, envoy=self._envoy, bell=self._bell, form=form)
            self._groups[group.name] = group
        await self._envoy.introduce()
        self._orders = Orders(self._groups, envoy=self._envoy, bell=self._bell, end=self._end)
        self._shutdown.watch_signals()
        self._loops.go(self._envoy.renew())
        self._loops.go(self._publish())
        self._loops.go(self._look())
        self._loops.go(inbox.listen(engine, 0, worker=inbox_of(name), obey=self._orders.obey))
        names = ", ".join(f"{group.name} ({group.recipe.size})" for group in self._groups.values())
        _log.info("started: pid %d, groups %s", os.getpid(), names)
        for group in self._groups.values():
            group.resize(group.recipe.size)
        await self._bell.until(self._over)
        return await self._leave()

    def _on_failure(self, error: BaseException) -> None:
        """None of the spawner's loops may end by itself: better to drain than to limp."""
        _log.critical("the spawner failed", exc_info=error)
        self._shutdown.to(Stage.DRAINING, "the spawner failed")

    # -- what it does all the time -------------------------------------------------------------

    async def _publish(self) -> None:
        """Tell of every change at once; many at a time are one."""
        said = self._info()
        while True:
            await self._bell.rung()
            if (now := self._info()) != said:
                said = now
                self._envoy.hurry()

    async def _look(self) -> None:
        """See who serves, and let groups scale."""
        while True:
            groups = list(self._groups.values())
            starting = {
                group.recipe.is_supervisor
                for group in groups
                for member in group.members
                if member.phase is Phase.STARTING
            }
            scales = any(group.recipe.rule for group in groups)
            if (False in starting or scales) and (seen := await self._envoy.look()) is not None:
                for group in groups:
                    group.see(seen)
                    if self._shutdown.stage is Stage.RUNNING:
                        group.scale(seen)
            if True in starting:
                names = await self._envoy.supervisors()
                for group in groups:
                    group.see_supervisors(names)
            await self._pause(soon=bool(starting))

    async def _pause(self, *, soon: bool) -> None:
        """Until the next look; cut short when a member is started."""
        if soon:
            await asyncio.sleep(LOOK_SOON_S)
            return
        await self._bell.until(self._anybody_starts, timeout_s=self._look_s())

    def _look_s(self) -> float:
        """As often as the quickest rule asks for, within reason: a look costs Redis something."""
        rules = [group.recipe.rule for group in self._groups.values()]
        ages_s = [rule.scale_up_age_s / 2 for rule in rules if rule is not None]
        return max(LOOK_SOON_S, min([LOOK_S, *ages_s]))

    def _anybody_starts(self) -> bool:
        return any(
            member.phase is Phase.STARTING
            for group in self._groups.values()
            for member in group.members
        )

    # -- its end -------------------------------------------------------------------------------

    def _end(self, why: str) -> None:
        self._shutdown.to(Stage.DRAINING, why)

    def _enter(self, stage: Stage) -> None:
        self._orders.close()
        for group in self._groups.values():
            watches = group.recipe.is_supervisor
            if stage is not Stage.DRAINING or not watches:  # who watches goes last
                group.resize(0)
            for member in group.members:
                if stage is Stage.STOPPING and not watches:
                    member.stop()
                elif stage is Stage.KILLED:
                    member.kill()
        self._bell.ring()

    def _over(self) -> bool:
        """Whether all is done; asked whenever something has changed, so it also moves it on."""
        workers = [group for group in self._groups.values() if not group.recipe.is_supervisor]
        watchers = [group for group in self._groups.values() if group.recipe.is_supervisor]
        if self._shutdown.stage is Stage.RUNNING:
            chiefs = workers or watchers
            if all(group.hopeless or not group.wanted for group in chiefs) and any(
                group.hopeless for group in chiefs
            ):
                self._end("nothing is left that could run")
            return False
        if any(group.members for group in workers):
            return False
        for group in watchers:
            if group.wanted:
                group.resize(0)
        return not any(group.members for group in watchers)

    async def _leave(self) -> int:
        await self._envoy.settled(LAST_CALLS_S)
        await self._loops.end()
        await self._envoy.farewell()
        broken = any(group.gave_up for group in self._groups.values())
        _log.info("ended")
        return 1 if broken or self._shutdown.stage is Stage.KILLED else 0

    def _info(self) -> Facts:
        """For the registry of fleets."""
        stage = self._shutdown.stage
        return {
            "name": self._origin.fleet,
            "instance": self._instance,
            "host": os.uname().nodename,
            "pid": os.getpid(),
            "state": stage.name.lower(),
            "started_ms": self._started_ms,
            "groups": [group.facts() for group in self._groups.values()],
        }
