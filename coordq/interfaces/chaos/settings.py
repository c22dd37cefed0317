"""What a run is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from coordq.errors import InvalidOption
from coordq.interfaces.chaos.plan import BY_NAME, Cast, Fault, schedule
from coordq.interfaces.chaos.plant import BUGS
from coordq.runtime.bounds import within
from coordq.work.options import DURABILITY

ENGINES: Final = ("single", "sentinel")
FAULT_EVERY_S: Final = 1.3
RATE: Final = 220.0
"""Tasks a second, unless a duration says otherwise: what two busy cores do while being killed."""


@dataclass(frozen=True, slots=True)
class ChaosSettings:
    """One run of chaos. Times are seconds unless the name says otherwise."""

    tasks: int = 5_000
    faults: int = 40
    seed: int = 1
    engine: str = "single"
    """single or sentinel."""
    workers: int = 3
    children: int = 2
    """Of each worker."""
    flows: float = 0.1
    """What share of all tasks comes in flows, besides `tasks`."""
    messages: float = 0.2
    """So many messages, and turns of sessions, come for each of `tasks`."""
    supervisors: int = 2
    producers: int = 2
    duration_s: float = 0.0
    """How long tasks are enqueued and faults begin; 0: as long as both take at a fair pace."""
    lease_s: float = 2.0
    stall_s: float = 45.0
    """When nothing has ended for so long and no fault is left, what has not ended is stuck."""
    shards: int = 2
    durability: str = "primary"
    """Of enqueueing. replica: an acknowledged task may not even be lost by a failover."""
    only: tuple[str, ...] = ()
    """Kinds of faults; empty for all."""
    bug: str = ""
    """A planted bug, to see that it is found."""
    folder: Path | None = None
    """Where the journals go; None for a temporary folder."""
    keep: bool = False
    """Keep the journals also when all went well."""

    def check(self) -> None:
        """Raise InvalidOption for a run that cannot be."""
        within("tasks", self.tasks, 1, 100_000_000)
        within("faults", self.faults, 0, 1_000_000)
        within("workers", self.workers, 1, 50)
        within("children", self.children, 1, 50)
        within("supervisors", self.supervisors, 0, 9)
        within("producers", self.producers, 1, 50)
        within("flows", self.flows, 0, 0.9)
        within("messages", self.messages, 0, 10)
        within("duration", self.duration_s, 0, 7 * 86_400)
        within("lease", self.lease_s, 1, 60)
        within("stall", self.stall_s, 5, 3600)
        within("shards", self.shards, 1, 64)
        if self.engine not in ENGINES:
            raise InvalidOption(f"engine={self.engine!r}: use single or sentinel.", option="engine")
        if self.durability not in DURABILITY:
            told = f"durability={self.durability!r}: use primary or replica."
            raise InvalidOption(told, option="durability")
        if self.durability == "replica" and self.engine == "single":
            raise InvalidOption("A single Redis has no replica.", option="durability")
        if self.bug and self.bug not in BUGS:
            told = f"There is no bug {self.bug!r} to plant; there are: {', '.join(BUGS)}."
            raise InvalidOption(told, option="plant")
        for name in self.only:
            if name not in BY_NAME:
                told = f"There is no fault {name!r}; there are: {', '.join(BY_NAME)}."
                raise InvalidOption(told, option="only")

    @property
    def lasting_s(self) -> float:
        """How long tasks are enqueued and faults begin."""
        return self.duration_s or max(10.0, self.faults * FAULT_EVERY_S, self.tasks / RATE)

    @property
    def cast(self) -> Cast:
        """Who is on the stage."""
        return Cast(
            self.workers, self.supervisors, self.producers, self.engine, self.lease_s, self.only
        )

    def schedule(self) -> tuple[Fault, ...]:
        """The faults. Raises InvalidOption when none of the wanted kinds can be made."""
        if self.faults and not self.cast.kinds():
            raise InvalidOption("None of these faults can be made on this stage.", option="only")
        return schedule(self.seed, self.faults, duration_s=self.lasting_s, cast=self.cast)
