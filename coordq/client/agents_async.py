"""The agents' door of the async client: the operations of `agents.py`, awaitable."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from coordq.client import agent_plans as plans
from coordq.client.drive import drive_async
from coordq.engine.aio import AsyncEngine
from coordq.fleet.directory import AgentView, Directory
from coordq.fleet.profile import TTL_S
from coordq.fleet.registry import StandIn


class AsyncAgents:
    """The registry of agents, kept in memory here and brought up to date by each call.

    Workers register the agents they host by themselves. Others, outside of workers, are registered
    here, and count as there for as long as they are heard.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.directory = Directory()

    async def register(
        self,
        name: str,
        *,
        ttl: float = TTL_S,
        load: float | None = None,
        version: int | None = None,
        **given: Any,
    ) -> AgentView:
        """Make an agent known that no worker hosts, or describe it anew.

        role, capabilities, tasks, persona (text or a mapping), interests (text), zone, max_load,
        weight, stand_ins: as of `coordq.Agent`. ttl: seconds for which it counts as there after
        each `heartbeat`. load: 0 idle to 1 busy. version: which it must have, 0 for none yet.

        Raises InvalidAgent, InvalidOption, Conflict, and Refused for an agent that workers have.
        """
        plan = plans.register(self.directory, name, ttl=ttl, load=load, version=version, **given)
        return await drive_async(self._engine, plan)

    async def heartbeat(self, name: str, *, load: float | None = None) -> float:
        """Say that an agent outside workers is still there; for how many seconds that counts.

        Raises AgentNotFound, and Refused for an agent that workers have.
        """
        return await drive_async(self._engine, plans.heartbeat(name, load))

    async def update(
        self, name: str, *, version: int | None = None, who: str = "operator", **given: Any
    ) -> AgentView:
        """Say something else of an agent than it says itself; None takes such a word back.

        interests, zone, max_load, weight, stand_ins. It outlives restarts. version: which the agent
        must have; without it the change is made on top of what others change meanwhile.

        Raises AgentNotFound, InvalidAgent, Conflict.
        """
        plan = plans.update(self.directory, name, version=version, who=who, **given)
        return await drive_async(self._engine, plan)

    async def leave(self, name: str, *, forget: bool = False) -> bool:
        """An agent outside workers is gone, but stays known; true when something was changed.

        forget: nothing is known of it any more; also for one that no worker has any longer.
        Raises AgentNotFound, and Refused for an agent that workers have.
        """
        return await drive_async(self._engine, plans.leave(name, forget=forget))

    async def get(self, name: str) -> AgentView:
        """One agent as it is now. Raises AgentNotFound."""
        return await drive_async(self._engine, plans.get(self.directory, name))

    async def ls(self) -> list[AgentView]:
        """All that are known, by name, as they are now."""
        return await drive_async(self._engine, plans.ls(self.directory))

    async def find(
        self,
        *,
        role: str = "",
        capabilities: Collection[str] = (),
        task: str = "",
        zone: str = "",
        text: str = "",
        max_load: float | None = None,
        state: str = "here",
        limit: int | None = 100,
    ) -> list[AgentView]:
        """Who fits all that is said; by words of `text`, then the least busy first.

        capabilities: all of them. task: a name that it can do. text: words in its name, role,
        capabilities, tasks, interests or persona; one is enough, more come first. max_load: busy
        to at most this share, from 0 to 1. state: here (serving or outside), serving, outside,
        away or all. limit: no more than so many; None: all. The registry is that of this moment,
        load at most 2 s old.

        Raises InvalidOption, InvalidName.
        """
        plan = plans.find(
            self.directory,
            limit,
            role=role,
            capabilities=capabilities,
            task=task,
            zone=zone,
            text=text,
            max_load=max_load,
            state=state,
        )
        return await drive_async(self._engine, plan)

    async def stand_in(self, name: str, by: str | None, *, who: str = "operator") -> None:
        """Let `by` act for `name` from now on, until that comes back; None ends it.

        Raises AgentNotFound, and Refused when they would stand in for each other.
        """
        await drive_async(self._engine, plans.stand_in(name, by, who=who))

    async def stand_ins(self) -> dict[str, StandIn]:
        """Who acts for whom: by the name of whom."""
        return await drive_async(self._engine, plans.stand_ins(self.directory))
