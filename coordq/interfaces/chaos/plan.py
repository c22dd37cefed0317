"""Which faults, when, and to whom: a schedule drawn from a seed. Pure: no clock, no process.

The same seed and the same stage give the same schedule. Every kind that the stage allows comes once
before any comes twice; after that the weights decide. No target suffers two faults at a time, and
Redis is everybody's target: of its faults only one goes on at any moment.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from coordq.interfaces.chaos.listeners import ABSENT

LEAD_S: Final = 1.0
"""Nothing happens before: the first tasks shall be on their way."""
GAP_S: Final = 0.1
"""Between two faults of one target."""
CLOCK_STEP_S: Final = (60.0, 7200.0)


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of fault."""

    name: str
    target: str
    """worker, supervisor, producer or redis; wire: anybody's link to Redis; clock: that of a worker
    or a producer; agent: the one that is absent."""
    weight: int
    hold: tuple[float, float]
    """How long it lasts, from and to, in leases of a worker."""
    amount: tuple[float, float] = (0.0, 0.0)
    """How much of it; what that means is said by `says`."""
    engine: str = ""
    """The engine that it needs."""
    says: str = ""


KINDS: Final = (
    Kind("kill-child", "worker", 6, (0, 0), says="SIGKILL to one child"),
    Kind("kill-worker", "worker", 5, (0.1, 0.8), says="SIGKILL to parent and children"),
    Kind("stop-worker", "worker", 5, (0.2, 2.5), says="SIGSTOP to the tree, then SIGCONT"),
    Kind("stop-child", "worker", 4, (0.2, 2.5), says="SIGSTOP to one child, then SIGCONT"),
    Kind("drain-worker", "worker", 3, (0.5, 1.5), says="TERM, and started anew"),
    Kind("clock-jump", "clock", 4, (0.5, 2.5), CLOCK_STEP_S, says="its wall clock steps, s"),
    Kind("cut-worker", "worker", 5, (0.3, 2.5), says="nothing passes to or from Redis"),
    Kind("lost-reply", "wire", 6, (0.1, 1), (1, 6), says="so many replies are lost"),
    Kind("slow-reply", "wire", 4, (0.3, 2), (0.05, 0.5), says="replies come late, s"),
    Kind("reset", "wire", 4, (0, 0), says="all connections are reset"),
    Kind("cut-producer", "producer", 2, (0.3, 2), says="nothing passes to or from Redis"),
    Kind("kill-producer", "producer", 2, (0.05, 0.5), says="SIGKILL, and started anew"),
    Kind("cut-supervisor", "supervisor", 3, (1.5, 3), says="the leader's link is cut"),
    Kind("kill-supervisor", "supervisor", 3, (0.2, 1), says="SIGKILL to the leader"),
    Kind("stop-supervisor", "supervisor", 3, (1.7, 3), says="the leader sleeps past its lease"),
    Kind("late-leader", "supervisor", 3, (0, 0), says="a former leader's write arrives"),
    Kind("swap-stand-in", "agent", 3, (0.5, 2.5), says="another acts for the absent agent"),
    Kind("redis-pause", "redis", 3, (0.1, 1.2), says="SIGSTOP, then SIGCONT"),
    Kind("redis-kill", "redis", 3, (0.05, 0.6), says="SIGKILL, and started anew", engine="single"),
    Kind("redis-full", "redis", 2, (0.2, 1), says="no memory left for new tasks"),
    Kind("redis-forget", "redis", 2, (0, 0), says="its cache of scripts is emptied"),
    Kind("redis-failover", "redis", 3, (2, 4), says="the master dies", engine="sentinel"),
)
BY_NAME: Final = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is on the stage."""

    workers: int = 3
    supervisors: int = 2
    producers: int = 2
    engine: str = "single"
    """single: one server with an append-only file; sentinel: a master, a replica, a Sentinel."""
    lease_s: float = 2.0
    only: tuple[str, ...] = ()
    """Kinds of faults; empty for all."""

    def targets(self, target: str) -> list[str]:
        """The names of those a kind of fault may hit."""
        named = {
            "worker": [f"worker-{number}" for number in range(self.workers)],
            "supervisor": [f"supervisor-{number}" for number in range(self.supervisors)],
            "producer": [f"producer-{number}" for number in range(self.producers)],
            "agent": [ABSENT],
            "redis": ["redis"],
        }
        if target == "clock":
            return [*named["worker"], *named["producer"]]
        if target == "wire":
            return [*named["worker"], *named["supervisor"], *named["producer"]]
        return named[target]

    def kinds(self) -> list[Kind]:
        """The faults that can be made here."""
        return [
            kind
            for kind in KINDS
            if kind.engine in {"", self.engine}
            and self.targets(kind.target)
            and (not self.only or kind.name in self.only)
        ]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a schedule."""

    number: int
    kind: str
    target: str
    """A name of the cast. Where the leader is meant, the leader of that moment takes its place."""
    at_s: float
    """Since the first task could be enqueued."""
    hold_s: float
    """How long until it is undone."""
    amount: float


def schedule(seed: int, amount: int, *, duration_s: float, cast: Cast) -> tuple[Fault, ...]:
    """`amount` faults, spread evenly over `duration_s` with some chance, in order of time."""
    chance = random.Random(seed)
    free_at: dict[str, float] = {}
    wanted = _kinds(chance, cast.kinds())
    room_s = max(0.0, duration_s - LEAD_S)
    made = []
    for number in range(amount):
        kind = next(wanted)
        wished_s = LEAD_S + room_s * (number + chance.random()) / amount
        target, at_s = _whom(chance, cast.targets(kind.target), wished_s, free_at)
        fault = _fault(chance, number, kind, target, at_s=at_s, lease_s=cast.lease_s)
        free_at[target] = fault.at_s + fault.hold_s + GAP_S
        made.append(fault)
    return tuple(sorted(made, key=lambda fault: (fault.at_s, fault.number)))


def _kinds(chance: random.Random, kinds: Sequence[Kind]) -> Iterator[Kind]:
    first = list(kinds)
    chance.shuffle(first)
    yield from first
    weights = [kind.weight for kind in kinds]
    while True:
        yield from chance.choices(kinds, weights)


def _whom(
    chance: random.Random, targets: list[str], at_s: float, free_at: dict[str, float]
) -> tuple[str, float]:
    """A target that has no other fault, and when; later than wished where all are taken."""
    chance.shuffle(targets)
    for target in targets:
        if free_at.get(target, 0.0) <= at_s:
            return target, at_s
    first = min(targets, key=lambda target: free_at[target])
    return first, free_at[first]


def _fault(
    chance: random.Random, number: int, kind: Kind, target: str, *, at_s: float, lease_s: float
) -> Fault:
    hold_s = chance.uniform(*kind.hold) * lease_s
    amount = chance.uniform(*kind.amount)
    if kind.name == "clock-jump" and chance.random() < 0.5:  # noqa: PLR2004 - a coin
        amount = -amount
    return Fault(number, kind.name, target, round(at_s, 3), round(hold_s, 3), round(amount, 3))
