"""The fleet's door of the sync client: who can be reached, and what the operator knows better."""

from __future__ import annotations

from coordq.client import fleet_plans as plans
from coordq.client import ping_plans
from coordq.client.drive import drive
from coordq.engine.connection import Engine
from coordq.fleet.agents import AgentSummary
from coordq.fleet.directory import Directory
from coordq.fleet.ping import AgentPing
from coordq.fleet.status import FleetStatus


class Fleet:
    """The workers of a namespace, and who leads them. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def status(self) -> FleetStatus:
        """Who leads, who is there and how well, and whether the fleet may work.

        Without a leader it is judged here, by the same rules and this moment's beats.
        """
        return drive(self._engine, plans.status())

    def agents(self) -> tuple[AgentSummary, ...]:
        """What each agent has done on the workers that are here, since they were started.

        How often it succeeded and failed, how long that took, what it runs now; and the same of
        the last minute while a supervisor leads.
        """
        return drive(self._engine, plans.agents())

    def ping(self, timeout: float = 2.0) -> tuple[AgentPing, ...]:
        """The round trip of every agent, by name: from here to each child that has it and back.

        timeout: seconds, up to 60, after which who has not answered is called silent. Agents that
        no worker has are not asked: those outside are heard by their heartbeats. Raises
        InvalidOption.
        """
        plan = ping_plans.call_the_roll(self._engine.namespace, Directory(), timeout)
        return drive(self._engine, plan)

    def forget(self, worker: str, *, who: str = "an operator") -> int:
        """Strike off a worker that will not come back; how many claims it gave back.

        Raises WorkerNotFound, and Refused for one that beats.
        """
        return drive(self._engine, plans.forget(self._engine.shards, worker, who=who))

    def expect(self, amount: int | None) -> None:
        """Say how many workers the fleet has; None: they are counted. Raises InvalidOption.

        By this a fleet that is too small knows itself for the minority, also after all who were
        missing have been forgotten.
        """
        drive(self._engine, plans.expect(amount))

    def read_only(self, on: bool, reason: str = "", *, who: str = "operator") -> bool:  # noqa: FBT001 - the whole of the order
        """Stop all new work, or let it go on; true when something was changed.

        On lasts until it is off: no leader ends it. Off also keeps a leader from making the fleet
        read-only by itself until the fleet has been whole once.
        """
        plan = plans.read_only(self._engine.shards, on=on, reason=reason, who=who)
        return drive(self._engine, plan)
