"""Known, reachable, quorum: whether those who can be reached may speak for the fleet.

The quorum follows the fleet down when workers cannot be reached, because decisions must go on with
those that are there; but never below a majority of all that are known, because two halves must not
both decide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

SHARE: Final = 2 / 3
"""Of those who can be reached, so many make a quorum."""

OnMinority = Literal["auto", "read-only", "continue"]


def majority(known: int) -> int:
    """More than half of the known fleet."""
    return known // 2 + 1


def quorum(known: int, reachable: int) -> int:
    """How many must agree: two thirds of the reachable, but never less than a majority of all."""
    # rounded first: 2 / 3 of 3 must not be a little more than 2
    return max(majority(known), math.ceil(round(reachable * SHARE, 9)))


@dataclass(frozen=True, slots=True)
class Standing:
    """How much of the fleet can be reached."""

    known: int
    """Who belongs to the fleet, or what the operator expects."""
    reachable: int
    zones: int = 1
    """How many zones the known fleet has."""
    expected: bool = False
    """Whether the operator said how large the fleet is."""

    @property
    def majority(self) -> int:
        """So many must be reachable."""
        return majority(self.known)

    @property
    def quorum(self) -> int:
        """So many must agree."""
        return quorum(self.known, self.reachable)

    @property
    def minority(self) -> bool:
        """Whether most of the fleet cannot be reached.

        Never in a fleet of one zone, where there is nobody to be parted from, unless the operator
        has said how large it is.
        """
        if self.known == 0 or (self.zones < 2 and not self.expected):  # noqa: PLR2004 - two sides
            return False
        return self.reachable < self.majority

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "known": self.known,
            "expected": self.known if self.expected else None,
            "reachable": self.reachable,
            "quorum": self.quorum,
            "minority": self.minority,
        }


def must_stop(standing: Standing, on_minority: OnMinority, *, replicated: bool) -> bool:
    """Whether the fleet must take and start no new work.

    replicated: whether Redis has replicas. Without, there is one Redis, and whoever reaches it has
    the only truth there is: to refuse work would protect nothing. With replicas, most of the fleet
    may be at work on one that was promoted on their side.
    """
    if on_minority == "continue" or not standing.minority:
        return False
    return on_minority == "read-only" or replicated
