"""Which kind of topology a fleet should have, by its size and load; pure thought.

A star while one in the middle can speak with all; a tree when it cannot; a mesh of groups when a
tree would be too deep. Load counts as size does: a hub that is busy has less time for each.

It must not flap. A bound is crossed upwards at the bound, and downwards only `slack` below it; and
either way the fleet has to be there for `settle_s` without a break.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

from coordq.amounts import is_number, is_whole
from coordq.errors import InvalidTopology

STAGES: Final = ("star", "tree", "groups")
"""From the smallest fleet to the largest."""
_BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "star_max": (1, 1000),
    "tree_max": (2, 5000),
    "slack": (0.05, 0.9),
    "settle_s": (0, 86_400),
    "busy": (0, 0.95),
    "fanout": (2, 100),
    "group_size": (2, 1000),
}
_WHOLE: Final = ("star_max", "tree_max", "fanout", "group_size")


@dataclass(frozen=True, slots=True)
class Adapt:
    """How a topology follows its fleet. Raises InvalidTopology for what cannot be followed."""

    star_max: int = 8
    """Up to so many agents are a star."""
    tree_max: int = 40
    """Up to so many are a tree; more are a mesh of groups."""
    slack: float = 0.25
    """A share: so far below a bound a fleet must shrink before it goes back."""
    settle_s: float = 60.0
    """For so long it has to be larger, or smaller, without a break; an agent has to be away."""
    busy: float = 0.5
    """A share of all slots: above it load counts, up to twice the size when all are taken."""
    fanout: int = 4
    """How many report to one in a tree."""
    group_size: int = 8
    """How many make a group."""

    def __post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            value: object = getattr(self, name)
            if not (is_whole if name in _WHOLE else is_number)(value, least, most):
                raise _wrong(f"{name}={value!r}: give a number from {least:g} to {most:g}.")
        if self.star_max >= self.tree_max * (1 - self.slack):
            raise _wrong(
                f"star_max={self.star_max} lies too near tree_max={self.tree_max}: below "
                f"{self.tree_max * (1 - self.slack):g} a fleet goes back to a tree, which must be "
                "larger than a star can be."
            )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return dataclasses.asdict(self)


def _wrong(words: str) -> InvalidTopology:
    return InvalidTopology(words, rule="adapt", agents=[])


@dataclass(frozen=True, slots=True)
class Leaning:
    """Where a fleet would go, and since when."""

    toward: str = ""
    since_s: float = 0.0


def weight(settings: Adapt, size: int, load: float) -> float:
    """How large a fleet is for its topology: its size, up to twice that when it is busy.

    load: the share of all slots that are taken, 0 to 1.
    """
    above = max(0.0, min(load, 1.0) - settings.busy)
    return size * (1 + above / (1 - settings.busy))


def stage(settings: Adapt, kind: str, heavy: float) -> str:
    """What a fleet of this weight should be that is a `kind` now."""
    bounds = (settings.star_max, settings.tree_max)
    if kind not in STAGES:
        return STAGES[sum(heavy > bound for bound in bounds)]
    at = STAGES.index(kind)
    while at < len(bounds) and heavy > bounds[at]:
        at += 1
    while at > 0 and heavy < bounds[at - 1] * (1 - settings.slack):
        at -= 1
    return STAGES[at]


def lean(
    settings: Adapt, kind: str, heavy: float, leaning: Leaning, now_s: float
) -> tuple[str, Leaning]:
    """The kind to take now, `kind` itself if nothing is to change, and what to remember.

    now_s: seconds on a clock that never steps.
    """
    toward = stage(settings, kind, heavy)
    if toward == kind:
        return kind, Leaning()
    if toward != leaning.toward:
        leaning = Leaning(toward, now_s)
    if now_s - leaning.since_s < settings.settle_s:
        return kind, leaning
    return toward, Leaning()
