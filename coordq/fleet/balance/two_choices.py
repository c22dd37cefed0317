"""Power of two choices: of two by chance the better one, by peak EWMA.

Looking at two is nearly as good as looking at all, and never sends everybody to the same place,
which looking at all does when many balancers know the same: see https://doi.org/10.1109/71.963420.
Peak EWMA is a mean of times that rises at once and sinks slowly: who gets slow is left alone from
the first slow answer on, and tried again as that fades.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Final

from coordq.fleet.balance.balancer import Balancer, Candidate

FADE_S: Final = 10.0
"""After so long without news a time counts for a third."""
UNKNOWN_MS: Final = 1e6
"""What a second piece of work costs at somebody who has not answered the first one ever."""


class TwoChoices(Balancer):
    """Two by chance, and of these the one that is expected to have it done sooner."""

    name: ClassVar[str] = "two-choices"

    def _begin(self) -> None:
        self._times: dict[str, tuple[float, float]] = {}
        """The mean in ms, and of when it is."""

    def _choose(self, candidates: Sequence[Candidate], now: float) -> Candidate | None:
        pair = self._two(candidates)
        if not all(self._may(one) for one in pair):
            pair = self._two([one for one in candidates if self._may(one)])
        return min(pair, key=lambda one: self._cost(one, now), default=None)

    def _two(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        amount = len(candidates)
        if amount <= 2:  # noqa: PLR2004 - two
            return candidates
        first, second = self._chance.randrange(amount), self._chance.randrange(amount - 1)
        return candidates[first], candidates[second + (second >= first)]

    def _cost(self, one: Candidate, now: float) -> tuple[float, int]:
        busy, seen = self._busy(one), self._seen[one.name]
        ms = self._time(one.name, now)
        if ms is None:
            ms = UNKNOWN_MS if seen.in_flight else 0.0
        return ms * (busy + 1) / self._share(one, now), seen.picked

    def _time(self, name: str, now: float) -> float | None:
        known = self._times.get(name)
        return None if known is None else known[0] * math.exp((known[1] - now) / FADE_S)

    def _learn(self, name: str, ms: float, now: float) -> None:
        mean, at = self._times.get(name, (ms, now))
        kept = math.exp((at - now) / FADE_S)
        self._times[name] = (max(ms, mean * kept + ms * (1 - kept)), now)

    def _forget(self, name: str) -> None:
        self._times.pop(name, None)
