"""The topology door of the async client: the operations of `topology.py`, awaitable."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from coordq.client import topology_plans as plans
from coordq.client.drive import drive_async
from coordq.clock import monotonic
from coordq.engine.aio import AsyncEngine
from coordq.fleet.directory import Directory
from coordq.fleet.topology.calls import Arrangement
from coordq.fleet.topology.change import Change
from coordq.fleet.topology.shape import Topology
from coordq.fleet.topology.view import Verdict, View


class AsyncTopologyDoor:
    """The arrangement of a namespace's agents, one version after the other."""

    def __init__(self, engine: AsyncEngine, directory: Directory) -> None:
        self._engine = engine
        self._directory = directory
        self._seen = plans.Seen()

    async def set(
        self,
        kind: str | Topology,
        members: Iterable[str] | None = None,
        /,
        *,
        expect: int | None = None,
        who: str = "operator",
        why: str = "",
        **given: Any,
    ) -> Arrangement:
        """Arrange the agents; every client knows within a second of its next question.

        kind: mesh, star, ring, tree, groups, graph, or auto for one that the supervisor's leader
        changes by size and load; or a Topology. members: names; by default all agents that
        are here. expect: the version that must be set now, 0 for none. who, why: for
        the event and the history. What else may be said: `hub` of a star; `fanout` or `reports`
        of a tree; `group_size` or `groups`; `links`, `one_way`, `acyclic` and `reports` of a
        graph; and always `degree_max`, `strangers`, `in_flight`, `adapt`: see `Topology`.

        Raises InvalidTopology, which names the agents concerned, InvalidName, Conflict.
        """
        plan = plans.put(self._directory, kind, members, given, expect=expect, who=who, why=why)
        return await drive_async(self._engine, plan)

    async def plan(
        self, kind: str | Topology, members: Iterable[str] | None = None, /, **given: Any
    ) -> Change:
        """What `set` would change, and what is wrong with it; nothing is done."""
        return await drive_async(self._engine, plans.plan(self._directory, kind, members, given))

    async def get(self) -> Arrangement:
        """What is set; version 0 and no topology when nothing ever was. Raises ForeignData."""
        return await drive_async(self._engine, plans.get())

    async def known(self) -> list[str]:
        """The agents that are here, by name: whom `set` arranges without members."""
        return await drive_async(self._engine, plans.known(self._directory))

    async def history(self) -> tuple[Arrangement, ...]:
        """The last 32 versions, newest first."""
        return await drive_async(self._engine, plans.past())

    async def restore(
        self, version: int, *, expect: int | None = None, who: str = "operator"
    ) -> Arrangement:
        """Set an earlier version again, as a new one. Raises TopologyNotFound, Conflict."""
        return await drive_async(self._engine, plans.restore(version, expect=expect, who=who))

    async def clear(
        self, *, expect: int | None = None, who: str = "operator", why: str = ""
    ) -> Arrangement:
        """Take it away: everybody may talk to everybody. Raises Conflict."""
        return await drive_async(self._engine, plans.clear(expect=expect, who=who, why=why))

    async def view(self, *, max_age: float = plans.FRESH_S) -> View:
        """The topology, ready to be asked; kept, and compared with Redis after `max_age` seconds.

        Only the version is compared; a topology is fetched when it is another one.
        """
        now_s = monotonic()
        if self._seen.fresh(now_s, max_age):
            return self._seen.view
        return await drive_async(self._engine, self._seen.compare(now_s))

    async def may_talk(self, sender: str, receiver: str) -> Verdict:
        """Whether one agent may send to another now, and why not. True when it may.

        "" stands for whoever is no agent.
        """
        return (await self.view()).may_talk(sender, receiver)
