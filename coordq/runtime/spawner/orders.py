"""What a spawner may be told through Redis, and what it answers while and when it is done.

| order | means |
| --- | --- |
| `{"do": "scale", "sizes": {group: size}}` | so many workers from now on |
| `{"do": "restart", "group": ..., "rolling": ...}` | fresh processes; rolling: one after another |
| `{"do": "drain", "group": ...}` | finish what runs, and stay away until scaled |
| `{"do": "down"}` | drain everything, and end |

An empty group stands for all. Each order has an `id`, under which its answers are left:
`{"say": "progress", "text": ...}` and at last `{"say": "done", "text": ...}` or
`{"say": "refused", "code": ..., "message": ...}`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

from coordq.amounts import is_whole
from coordq.errors import Conflict, CoordqError, FleetNotFound, InvalidOption
from coordq.fleet.file import WORKERS_MAX
from coordq.runtime.shutdown import STOP_S
from coordq.runtime.spawner.bell import Bell
from coordq.runtime.spawner.envoy import Envoy
from coordq.runtime.spawner.group import Group
from coordq.runtime.spawner.member import LATE_S, Member, Phase

KNOWN_MAX: Final = 200
"""So many ids are remembered: an order whose reply was lost comes twice."""
GONE_S: Final = 10.0
"""How much later than killed a member is gone for sure."""

Message = dict[str, Any]
Say = Callable[[str], Awaitable[None]]

_log = logging.getLogger("coordq.spawner")


class Orders:
    """Obeys, one order per group at a time."""

    def __init__(
        self, groups: dict[str, Group], *, envoy: Envoy, bell: Bell, end: Callable[[str], None]
    ) -> None:
        self._groups = groups
        self._envoy = envoy
        self._bell = bell
        self._end = end
        self._known: deque[str] = deque(maxlen=KNOWN_MAX)
        self._running: dict[str, asyncio.Task[None]] = {}
        """By group: what an order does to it."""
        self._closed = False

    def close(self) -> None:
        """The fleet ends: what is being done is broken off, and nothing else begun."""
        self._closed = True
        for group in self._groups.values():
            self._interrupt(group)

    def obey(self, message: Message) -> None:
        """Begin what was asked for. Never raises."""
        order_id = str(message.get("id", ""))
        if order_id in self._known:
            return
        self._known.append(order_id)
        self._envoy.aside(self._answer(order_id, message))

    async def _answer(self, order_id: str, message: Message) -> None:
        async def say(text: str) -> None:
            await self._envoy.answer(order_id, {"say": "progress", "text": text})

        try:
            text = await self._do(message, say)
            answer = {"say": "done", "text": text}
        except asyncio.CancelledError:
            answer = {"say": "refused", "code": Conflict.code, "message": "Another order came."}
        except CoordqError as error:
            answer = {"say": "refused", "code": error.code, "message": str(error)}
        await self._envoy.answer(order_id, answer)

    async def _do(self, message: Message, say: Say) -> str:
        if self._closed and message.get("do") != "down":
            raise Conflict("The fleet is about to end.")
        match message.get("do"):
            case "scale":
                return await self._scale(_sizes(message.get("sizes")), say)
            case "restart":
                rolling = message.get("rolling") is True
                return await self._restart(str(message.get("group", "")), say, rolling=rolling)
            case "drain":
                return await self._drain(str(message.get("group", "")), say)
            case "down":
                return await self._down(say)
        raise InvalidOption("A fleet can be told to scale, restart, drain and go down.")

    # -- who and when --------------------------------------------------------------------------

    def _chosen(self, name: str) -> list[Group]:
        """One group, or all. Raises FleetNotFound."""
        if not name:
            return list(self._groups.values())
        if name not in self._groups:
            names = ", ".join(self._groups)
            raise FleetNotFound(f"The fleet has no group {name!r}; it has: {names}.", group=name)
        return [self._groups[name]]

    async def _during(self, group: Group, doing: str, work: Awaitable[None]) -> None:
        """Do something to a group that no other order may disturb, except one to drain it."""
        task = asyncio.ensure_future(work)
        self._running[group.name] = task
        group.doing = doing
        self._bell.ring()
        try:
            await task
        finally:
            task.cancel()
            if self._running.get(group.name) is task:
                del self._running[group.name]
                group.doing = ""
            self._bell.ring()

    def _check_free(self, groups: list[Group]) -> None:
        for group in groups:
            if group.name in self._running:
                raise Conflict(
                    f"Group {group.name} is {group.doing} already: wait until that is done, or "
                    f"drain it.",
                    group=group.name,
                )

    def _interrupt(self, group: Group) -> None:
        if (task := self._running.pop(group.name, None)) is not None:
            task.cancel()
        group.doing = ""

    # -- orders --------------------------------------------------------------------------------

    async def _scale(self, sizes: dict[str, int], say: Say) -> str:
        groups = [self._chosen(name)[0] for name in sizes]
        for group in groups:
            _check_size(group, sizes[group.name])
        self._check_free(groups)
        for group in groups:
            before = group.wanted
            group.mend()
            group.resize(sizes[group.name])
            detail = f"{before} -> {group.wanted}: by order"
            self._envoy.tell(group.name, "scaled", detail)
            await say(f"{group.name}: {detail}")
        for group in groups:
            await self._settle(group, sizes[group.name])
        return ", ".join(f"{group.name} has {len(group.serving)}" for group in groups)

    async def _settle(self, group: Group, size: int) -> None:
        """Wait until a group is as large as it was asked to be. Raises what prevents it."""

        def done() -> bool:
            return group.wanted != size or group.settled or bool(group.broken)

        await self._bell.until(done, timeout_s=self._patience_s(group))
        if group.broken:
            place = group.broken[0]
            raise CoordqError(
                f"Group {group.name} gave up place {place.number}: the last worker {place.broken}."
            )
        if group.wanted != size:
            raise Conflict(f"Group {group.name} was told to have {group.wanted} meanwhile.")
        if not group.settled:
            raise CoordqError(f"Group {group.name} is not there yet; it goes on.")

    def _patience_s(self, group: Group) -> float:
        recipe = group.recipe
        return max(recipe.start_s, recipe.drain_s + STOP_S + LATE_S + GONE_S)

    async def _drain(self, name: str, say: Say) -> str:
        groups = [group for group in self._chosen(name) if name or not group.recipe.is_supervisor]
        for group in groups:
            self._interrupt(group)
            group.resting = True
            group.resize(0)
            await say(f"{group.name}: {len(group.members)} to end")
        for group in groups:
            await self._settle(group, 0)
        return "drained: " + ", ".join(group.name for group in groups)

    async def _down(self, say: Say) -> str:
        self._end("asked to, through Redis")
        for group in self._groups.values():
            await say(f"{group.name}: {len(group.members)} to end")
        await self._bell.until(lambda: not any(group.members for group in self._groups.values()))
        return "down"

    async def _restart(self, name: str, say: Say, *, rolling: bool) -> str:
        groups = [group for group in self._chosen(name) if group.wanted]
        self._check_free(groups)
        for group in groups:
            group.mend()
            one_by_one = rolling and not group.recipe.alone
            work = self._roll(group, say) if one_by_one else self._renew(group, say)
            await self._during(group, "restarting", work)
        return "restarted: " + (", ".join(group.name for group in groups) or "none has a worker")

    async def _renew(self, group: Group, say: Say) -> None:
        """All at once: drain, then start."""
        old = list(group.members)
        for member in old:
            member.drain()
        await say(f"{group.name}: {len(old)} to end")
        await self._gone(group, old)
        group.resize(group.wanted)
        await self._settle(group, group.wanted)

    async def _roll(self, group: Group, say: Say) -> None:
        """One after another, and the new one serves before the old one is told to end."""
        before = sorted((one for one in group.members if not one.told), key=lambda one: one.number)
        group.resize(group.wanted)  # places that had been given up
        for old in before:
            if old not in group.members:
                continue  # it fell meanwhile, and who follows it is as new as can be
            fresh = await self._try(group, old.number)
            await say(f"{group.name}.{old.number}: {fresh.shown} serves, {old.shown} drains")
            await self._gone(group, [old])
        await self._settle(group, group.wanted)

    async def _gone(self, group: Group, members: list[Member]) -> None:
        """Wait until members have ended."""
        await self._bell.until(
            lambda: not any(member in group.members for member in members),
            timeout_s=self._patience_s(group),
        )

    async def _try(self, group: Group, number: int) -> Member:
        """Start a member beside the one in a place; it gets the place once it serves."""
        try:
            fresh = group.start_member(number, trial=True)
        except OSError as error:
            raise CoordqError(f"{group.name}.{number} could not be started: {error}.") from error
        try:
            await self._bell.until(
                lambda: fresh.phase is Phase.SERVING or fresh not in group.members,
                timeout_s=group.recipe.start_s,
            )
        finally:
            if fresh.phase is not Phase.SERVING:
                fresh.drain()
        if fresh.phase is not Phase.SERVING or fresh not in group.members:
            why = "ended before it served" if fresh not in group.members else "does not serve"
            raise CoordqError(
                f"The replacement of {group.name}.{number} {why}; the old one goes on, and so do "
                f"the others. Its log says why."
            )
        group.adopt(fresh)
        return fresh


def _sizes(given: Any) -> dict[str, int]:
    if not isinstance(given, dict) or not given:
        raise InvalidOption("Say how many workers a group shall have, such as mail=4.")
    for name, size in given.items():
        if not is_whole(size, 0, WORKERS_MAX):
            raise InvalidOption(f"{name}={size!r}: use a whole number from 0 to {WORKERS_MAX}.")
    return given


def _check_size(group: Group, size: int) -> None:
    rule = group.recipe.rule
    if group.recipe.is_supervisor and size > 1:
        raise InvalidOption("One supervisor is enough on one machine: use 0 or 1.")
    if rule is not None and size and not rule.least <= size <= rule.most:
        raise InvalidOption(
            f"Group {group.name} scales by itself between {rule.least} and {rule.most}; {size} is "
            "not between them. Change the fleet file for that.",
            group=group.name,
        )
