"""Weighted round robin, the smooth kind: shares are exact, and nobody's turns come in a row.

At each pick everybody gains its share, and the one that has most is picked and pays the sum of all
shares. Of n picks with shares that stay, each gets its part, but for less than one turn or so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from coordq.fleet.balance.balancer import Balancer, Candidate


class RoundRobin(Balancer):
    """By turns, in proportion to weight; who fails gets fewer turns until it succeeds again."""

    name: ClassVar[str] = "round-robin"

    def _begin(self) -> None:
        self._credit: dict[str, float] = {}

    def _choose(self, candidates: Sequence[Candidate], now: float) -> Candidate | None:
        return self._turn([one for one in candidates if self._may(one)], now)

    def _turn(self, able: Sequence[Candidate], now: float) -> Candidate | None:
        """Whose turn it is among these."""
        best, most, total = None, 0.0, 0.0
        for one in able:
            share = self._share(one, now)
            total += share
            credit = self._credit[one.name] = self._credit.get(one.name, 0.0) + share
            if best is None or credit > most:
                best, most = one, credit
        if best is not None:
            self._credit[best.name] = most - total
        return best

    def _forget(self, name: str) -> None:
        self._credit.pop(name, None)
