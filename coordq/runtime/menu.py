"""What a child can do, as claims and wake-ups want to know it: queues, routes, markers."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from coordq.engine import keys
from coordq.work.claim import serve, serves

DEFAULT_QUEUE: Final = "default"
ANY_ROUTE: Final = "*"
"""Marked when a requirement turns up that nobody has met before."""


@dataclass(frozen=True, slots=True)
class Skill:
    """One agent, as routing sees it."""

    names: frozenset[str]
    role: str
    capabilities: frozenset[str]


class Menu:
    """What one child takes from one shard."""

    def __init__(
        self, skills: Sequence[Skill], queues: Sequence[tuple[str, int]], *, chance: random.Random
    ) -> None:
        self._skills = tuple(skills)
        self._queues = tuple(queues)
        self._strict = len({weight for _, weight in queues}) < 2  # noqa: PLR2004 - all the same
        self._in_order = " ".join(name for name, _ in queues)
        self._chance = chance
        self._plain = sorted({name for skill in skills for name in skill.names})
        self._required: list[str] = []
        self.routes_version = 0
        self.served = serve(self._plain)

    @property
    def order(self) -> str:
        """The queues in order of preference, for one claim."""
        if self._strict:
            return self._in_order
        # Sorting by chance^(1/weight), largest first, draws without putting back.
        drawn = sorted(
            self._queues, key=lambda queue: self._chance.random() ** (1 / queue[1]), reverse=True
        )
        return " ".join(name for name, _ in drawn)

    def learn(self, routes: Iterable[str], *, version: int) -> None:
        """Take note of the routes with requirements that exist on the shard."""
        self.routes_version = version
        self._required = sorted(
            route
            for route in set(routes)
            if any(
                serves(route, skill.names, skill.role, skill.capabilities) for skill in self._skills
            )
        )
        self.served = serve(self._plain + self._required)

    def markers(self, root: str) -> list[str]:
        """What to block on while nothing is ready: the keys of the marks that wake us."""
        return [
            keys.marker(root, queue, route)
            for queue, _ in self._queues
            for route in (*self._plain, *self._required, ANY_ROUTE)
        ]


def served_queues(
    wanted: Sequence[tuple[str, int]], named: Iterable[str]
) -> tuple[tuple[str, int], ...]:
    """The queues to serve: those asked for, else `default` and those that the tasks name."""
    if wanted:
        return tuple(wanted)
    return tuple((name, 1) for name in sorted({DEFAULT_QUEUE, *named}))
