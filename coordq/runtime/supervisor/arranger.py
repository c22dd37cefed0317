"""The part that lets an adaptive topology follow its fleet: who came, who left, and what kind.

What is to be done is thought in `fleet.topology.follow`, and set only if the topology is still what
was looked at: an operator who sets another one meanwhile wins, and one who sets one that is not
adaptive ends this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from coordq import clock
from coordq.errors import Conflict
from coordq.fleet import registry
from coordq.fleet.directory import AgentView, Directory, Wanted
from coordq.fleet.topology import calls
from coordq.fleet.topology.calls import Arrangement
from coordq.fleet.topology.check import check
from coordq.fleet.topology.follow import Memory, follow
from coordq.fleet.topology.shape import Topology
from coordq.runtime.supervisor.part import Part
from coordq.runtime.supervisor.term import Term

EVERY_S: Final = 2.0
"""A beat: what workers say of themselves does not change sooner."""
WHO: Final = "supervisor"


class Arranger(Part):
    """Looks at the topology every two seconds, and at the fleet if the topology is adaptive."""

    name: ClassVar[str] = "arranger"

    def __init__(self) -> None:
        super().__init__()
        self._now: Arrangement | None = None
        self._memory = Memory()
        self._directory = Directory()

    def begin(self, term: Term) -> None:
        """What another leader was about to decide is seen anew."""
        self._now, self._memory, self._directory = None, Memory(), Directory()

    async def round(self, term: Term) -> float:
        """One look."""
        found = await term.run(calls.look(None if self._now is None else self._now.version))
        if found is not None:
            self._now, self._memory = found, Memory(away=self._memory.away)
        assert self._now is not None
        topology = self._now.topology
        if topology is None or topology.adapt is None:
            return EVERY_S
        here = await self._here(term)
        present = {agent.name for agent in here}
        step = follow(topology, present, load_of(here), self._memory, clock.monotonic())
        self._memory = step.memory
        self.counts["looks"] += 1
        if step.topology is not None:
            await self.set(term, self._now.version, step.topology, step.why)
        return EVERY_S

    async def _here(self, term: Term) -> list[AgentView]:
        """The agents that are here, in workers or outside of them."""
        news = await term.run(registry.look(self._directory.revision))
        self._directory.learn(news, clock.monotonic())
        return self._directory.find(Wanted())

    async def set(self, term: Term, version: int, topology: Topology, why: str) -> None:
        """Set it in the place of a version; if that is gone, nothing is done."""
        try:
            await term.run(
                calls.put(check(topology), expect=version, who=WHO, why=why, epoch=term.epoch)
            )
        except Conflict:  # somebody was faster: it is looked at anew
            self.counts["conflicts"] += 1
        else:
            self.counts["changes"] += 1


def load_of(here: Sequence[AgentView]) -> float:
    """How busy the agents are on average, 0 to 1; 0 of none."""
    return sum(agent.load for agent in here) / len(here) if here else 0.0
