"""One group of a fleet: keeps as many members running as are wanted, and buries the dead.

A group has places, numbered from 1, and one member in each. A member that ends without having been
told to has its claims given back at once, for its end is proof, and its place is filled again as
long as the budget of that place lasts.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from coordq import clock
from coordq.runtime.logs import Format
from coordq.runtime.spawner.bell import Bell
from coordq.runtime.spawner.envoy import Envoy
from coordq.runtime.spawner.member import Member, Phase, how
from coordq.runtime.spawner.recipe import Recipe
from coordq.runtime.spawner.scale import Load, decide, too_large
from coordq.work.queue import Overview

_log = logging.getLogger("coordq.spawner")


@dataclass(slots=True)
class Place:
    """Where one member stands, and what became of those before it."""

    number: int
    deaths: list[float] = field(default_factory=list)
    restarts: int = 0
    waiting: asyncio.TimerHandle | None = None
    """Until its next start."""
    broken: str = ""
    """Why there will be none."""


class Group:
    """The members of one recipe."""

    def __init__(self, recipe: Recipe, *, envoy: Envoy, bell: Bell, form: Format) -> None:
        self.recipe = recipe
        self.name = recipe.group
        self.wanted = 0
        self.members: list[Member] = []
        self.places: dict[int, Place] = {}
        self.last_exit = ""
        """How the last member ended that was not told to."""
        self.restarts = 0
        self.gave_up = False
        """Whether a place was given up, and nobody has mended it since."""
        self.resting = False
        """An operator has drained it: it stays so until it is scaled, also when there is work."""
        self.doing = ""
        """What an order does to it, such as "restarting"."""
        self._envoy = envoy
        self._bell = bell
        self._form = form
        self._queues = set(recipe.queues)
        self._large_since: float | None = None

    # -- size ----------------------------------------------------------------------------------

    def resize(self, size: int) -> None:
        """Want so many members: start what is missing, drain what is too many."""
        self.wanted = size
        for number in [number for number in self.places if number > size]:
            self._vacate(number)
        for member in self.members:
            if member.number > size:
                member.drain()
        self._fill()
        self._bell.ring()

    def _vacate(self, number: int) -> None:
        place = self.places.pop(number)
        if place.waiting is not None:
            place.waiting.cancel()

    def mend(self) -> None:
        """Forget that places were given up, or that it was drained."""
        self.gave_up = self.resting = False
        for number in [number for number, place in self.places.items() if place.broken]:
            self._vacate(number)

    def _fill(self) -> None:
        for number in range(1, self.wanted + 1):
            place = self.places.setdefault(number, Place(number))
            if place.waiting is None and not place.broken and self.holder(number) is None:
                self._start(place)

    def holder(self, number: int) -> Member | None:
        """The member in a place, if it was not told to end."""
        for member in self.members:
            if member.number == number and not member.told and not member.trial:
                return member
        return None

    def _start(self, place: Place) -> None:
        try:
            self.start_member(place.number)
        except OSError as error:
            self._again(place, f"could not be started: {error.strerror or error}")

    def start_member(self, number: int, *, trial: bool = False) -> Member:
        """Start a member for a place. Raises OSError."""
        member = Member.start(self.recipe, number, form=self._form)
        member.trial = trial
        self.members.append(member)
        self._envoy.aside(self._live(member))
        return member

    def adopt(self, member: Member) -> None:
        """A member on trial has turned out to serve: the place is its own, others there end."""
        place = self.places.setdefault(member.number, Place(member.number))
        if place.waiting is not None:
            place.waiting.cancel()
            place.waiting = None
        member.trial = False
        for other in self.members:
            if other.number == member.number and other is not member:
                other.drain()

    # -- ends ----------------------------------------------------------------------------------

    async def _live(self, member: Member) -> None:
        code = await member.ended()
        self.members.remove(member)
        said = how(code)
        if not member.told:
            self._fell(member, said)
        else:
            _log.info("%s has ended", member.shown)
        if code != 0 or not member.told:
            self._envoy.aside(self._bury(member, said, code))
        self._bell.ring()

    def _fell(self, member: Member, said: str) -> None:
        """A member has ended by itself."""
        self.last_exit = said
        place = self.places.get(member.number)
        if place is None or member.trial or self.holder(member.number) is not None:
            _log.warning("%s (pid %d) %s", member.shown, member.pid, said)
            return
        _log.warning("%s (pid %d) %s", member.shown, member.pid, said)
        self._again(place, said)

    async def _bury(self, member: Member, said: str, code: int) -> None:
        """Give back what it held. Its end is proof: nothing of it runs any more."""
        where = f"group {self.name}, pid {member.pid}: {said}"
        amount = 0
        if not self.recipe.is_supervisor and await self._name(member):
            blameless = code == 0 or member.killed
            reason = "shutdown" if blameless else "crash"
            amount = await self._envoy.bury(member.worker, reason=reason)
        if not member.told:
            tasks = f"; {amount} task{'' if amount == 1 else 's'} given back" if amount else ""
            self._envoy.tell(member.shown, "exited", where + tasks)

    async def _name(self, member: Member) -> bool:
        """Find out what it was called; false when it never came so far as to have a name."""
        while not member.worker:
            seen = await self._envoy.look()
            if seen is None:
                await asyncio.sleep(random.uniform(0.2, 0.5))
                continue
            for view in seen.workers:
                if member.recognises(view.name):
                    member.worker = view.name
                    return True
            return False
        return True

    def _again(self, place: Place, why: str) -> None:
        now = clock.monotonic()
        budget = self.recipe.budget
        place.deaths = [*budget.recent(place.deaths, now=now), now]
        wait_s = budget.wait_s(place.deaths, now=now, chance=random.random())
        if wait_s is None:
            self._give_up(place, why)
            return
        place.restarts += 1
        self.restarts += 1
        _log.info("%s.%d starts again in %.1f s", self.name, place.number, wait_s)
        place.waiting = asyncio.get_running_loop().call_later(wait_s, self._wake, place)

    def _wake(self, place: Place) -> None:
        place.waiting = None
        self._fill()
        self._bell.ring()

    def _give_up(self, place: Place, why: str) -> None:
        budget = self.recipe.budget
        place.broken = why
        self.gave_up = True
        detail = f"place {place.number}: ended {len(place.deaths)} times within {budget.per_s:g} s"
        _log.error("%s gives up %s, the last one %s", self.name, detail, why)
        self._envoy.tell(self.name, "gave-up", f"{detail}, the last one {why}")
        self._bell.ring()

    # -- seeing --------------------------------------------------------------------------------

    def see(self, seen: Overview) -> None:
        """Take in what the registry of workers says."""
        for member in self.members:
            for view in seen.workers:
                if member.recognises(view.name):
                    self._watch(member, partial(member.see, view))
                    self._queues |= set(view.info.get("queues") or ())

    def see_supervisors(self, names: list[str]) -> None:
        """Take in which supervisors have been heard."""
        for member in self.members:
            for name in names:
                if member.recognises(name):
                    self._watch(member, partial(member.serves, name))

    def _watch(self, member: Member, take: Callable[[], None]) -> None:
        before = member.phase
        take()
        if before is Phase.STARTING and member.phase is Phase.SERVING:
            _log.info("%s serves", member.shown)
            self._envoy.tell(member.shown, "started", f"group {self.name}, pid {member.pid}")
            self._bell.ring()

    def scale(self, seen: Overview) -> None:
        """Grow or shrink, when the group does that by itself."""
        rule = self.recipe.rule
        if rule is None or self.doing or self.resting:
            return
        load = self._load(seen)
        if not too_large(load, rule):
            self._large_since = None
        elif self._large_since is None:
            self._large_since = clock.monotonic()
        size = decide(load, rule)
        if size != self.wanted:
            age_s, used = load.backlog_age_s or 0, load.utilisation
            detail = f"{self.wanted} -> {size}: tasks wait {age_s:.1f} s, {used:.0%} busy"
            _log.info("%s scales %s", self.name, detail)
            self._envoy.tell(self.name, "scaled", detail)
            self._large_since = None
            self.resize(size)

    def _load(self, seen: Overview) -> Load:
        ours = {member.worker for member in self.members if member.phase is Phase.SERVING}
        infos = [view.info for view in seen.workers if view.name in ours]
        slots = sum(int(info.get("slots", 0)) for info in infos)
        running = sum(int(info.get("running", 0)) for info in infos)
        ages = [
            queue.oldest_ready_ms
            for queue in seen.queues
            if queue.name in self._queues and not queue.paused and queue.oldest_ready_ms is not None
        ]
        return Load(
            size=self.wanted,
            backlog_age_s=max(ages) / 1000 if ages else None,
            utilisation=min(1.0, running / slots) if slots else 0.0,
            serving=len(infos),
            idle_s=0 if self._large_since is None else clock.monotonic() - self._large_since,
        )

    # -- what it says of itself ----------------------------------------------------------------

    @property
    def serving(self) -> list[Member]:
        """Members at work."""
        return [member for member in self.members if member.phase is Phase.SERVING]

    @property
    def broken(self) -> list[Place]:
        """Places that were given up."""
        return [place for place in self.places.values() if place.broken]

    @property
    def settled(self) -> bool:
        """Whether it is as it is wanted, or will never be."""
        here = len(self.serving) + len(self.broken) >= self.wanted
        return here and len(self.members) <= self.wanted

    @property
    def hopeless(self) -> bool:
        """Whether members are wanted, none runs, and none will."""
        return not self.members and 0 < self.wanted <= len(self.broken)

    def state(self) -> str:
        """One word for all of it."""
        if self.broken:
            return "broken"
        if self.doing:
            return self.doing
        if not self.wanted:
            return "draining" if self.members else "drained" if self.resting else "idle"
        return "running" if len(self.serving) >= self.wanted else "starting"

    def facts(self) -> dict[str, Any]:
        """For the fleet's status."""
        rule = self.recipe.rule
        restarts = {place.number: place.restarts for place in self.places.values()}
        workers = [
            {**member.facts(), "restarts": restarts.get(member.number, 0)}
            for member in sorted(self.members, key=lambda one: (one.number, one.since_ms))
        ]
        for place in self.places.values():
            if self.holder(place.number) is None:
                state = "broken" if place.broken else "waiting"
                name = f"{self.recipe.name}.{place.number}"
                facts = {"worker": name, "pid": None, "state": state, "since_ms": None}
                workers.append({**facts, "restarts": place.restarts})
        return {
            "name": self.name,
            "state": self.state(),
            "wanted": self.wanted,
            "min": rule.least if rule else None,
            "max": rule.most if rule else None,
            "workers": workers,
            "restarts": self.restarts,
            "last_exit": self.last_exit or None,
        }
