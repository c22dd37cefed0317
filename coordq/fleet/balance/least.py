"""Least connections: whoever holds the least for its share, and among equals by turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from coordq.fleet.balance.balancer import Candidate
from coordq.fleet.balance.round_robin import RoundRobin


class LeastConnections(RoundRobin):
    """The fewest pieces of work in hand, by weight.

    Good where pieces take very different time. What an agent holds from others counts as well, as
    far as beats have told of it. Those who hold equally little, all who are idle among them, take
    weighted turns: so nobody is left out because it is light, or has failed.
    """

    name: ClassVar[str] = "least-connections"

    def _choose(self, candidates: Sequence[Candidate], now: float) -> Candidate | None:
        ranked = [
            (self._busy(one) / self._share(one, now), one) for one in candidates if self._may(one)
        ]
        least = min((rank for rank, _ in ranked), default=0.0)
        return self._turn([one for rank, one in ranked if rank <= least], now)
