"""The part that notices which agents are gone, and lets others stand in for them.

Workers say so when they end; those that crashed cannot, and agents outside of workers just fall
silent. What is shown of agents is right without it: this makes it heard, and gives an agent that
names stand-ins the first of them that is there.
"""

from __future__ import annotations

from typing import ClassVar, Final

from coordq.fleet.registry import tend
from coordq.runtime.supervisor.part import Part
from coordq.runtime.supervisor.term import Term

EVERY_S: Final = 2.0
"""A beat: nobody is known to be gone sooner."""


class Tender(Part):
    """Looks after the registry of agents."""

    name: ClassVar[str] = "tender"

    async def round(self, term: Term) -> float:
        """One look at all pairs of agent and worker."""
        left, stood_in = await term.run(tend(term.epoch))
        self.counts["left"] += left
        self.counts["stand_ins"] += stood_in
        return EVERY_S
