"""When a worker that ended by itself is started again, and when no more.

Each place of a group has a budget: so many restarts within so long. The first waits a moment, each
further one twice as long, so a worker that cannot run does not keep the machine busy by starting.
Chance shortens the waits a little, so that workers that died together do not start together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

JITTER: Final = 0.25
"""The share of a wait that chance may take away."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How often is too often. Times are seconds."""

    restarts: int = 5
    per_s: float = 60.0
    first_s: float = 0.5
    longest_s: float = 15.0

    def recent(self, deaths: Sequence[float], *, now: float) -> list[float]:
        """Those deaths that still count."""
        return [moment for moment in deaths if now - moment < self.per_s]

    def wait_s(self, deaths: Sequence[float], *, now: float, chance: float) -> float | None:
        """How long to wait before the next start; None when the budget is used up.

        deaths: when it died, the last death included. chance: from 0 to 1.
        """
        counted = len(self.recent(deaths, now=now))
        if counted > self.restarts:
            return None
        if not counted:
            return 0.0
        wait_s = min(self.longest_s, self.first_s * 2.0 ** (counted - 1))
        return wait_s * (1 - JITTER * chance)
