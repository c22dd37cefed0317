"""Response time: whoever would have it done first, going by how long it took lately."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from coordq import clock
from coordq.errors import InvalidOption
from coordq.fleet.balance.balancer import WARM_UP_S, Balancer, Candidate
from coordq.fleet.balance.sketch import Sketch

EXPLORE_EVERY: Final = 20
"""Each so-manieth pick goes to the one picked longest ago: who was slow once may be fast again."""
QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class ResponseTime(Balancer):
    """The shortest expected time: a quantile of the last minute, times what waits there, by weight.

    quantile: "p50", "p95" (the default: rare slow answers count) or "p99".
    """

    name: ClassVar[str] = "response-time"

    def __init__(
        self,
        *,
        quantile: str = "p95",
        warm_up_s: float = WARM_UP_S,
        clock: Callable[[], float] = clock.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        if quantile not in QUANTILES:
            raise InvalidOption(
                f"quantile={quantile!r}: use one of {', '.join(QUANTILES)}.", option="quantile"
            )
        self._share_of = QUANTILES[quantile]
        self._sketches: dict[str, Sketch] = {}
        super().__init__(warm_up_s=warm_up_s, clock=clock, chance=chance)

    def quantiles(self, name: str) -> dict[str, float] | None:
        """p50, p95 and p99 of an agent's last minute, ms; None when nothing is known."""
        with self._lock:
            sketch, now = self._sketches.get(name), self._clock()
            found = {
                key: ms
                for key, share in QUANTILES.items()
                if sketch is not None and (ms := sketch.quantile(share, now)) is not None
            }
            return found or None

    def _choose(self, candidates: Sequence[Candidate], now: float) -> Candidate | None:
        able = [one for one in candidates if self._may(one)]
        if not able:
            return None
        if (self._picks + 1) % EXPLORE_EVERY == 0:
            return min(able, key=lambda one: self._seen[one.name].picked)
        times = {one.name: self._time(one.name, now) for one in able}
        known = [ms for ms in times.values() if ms is not None]
        # who is not known yet is taken for as fast as the fastest, so that it becomes known
        guess = min(known, default=1.0)
        return min(able, key=lambda one: self._cost(one, times[one.name] or guess, now))

    def _cost(self, one: Candidate, ms: float, now: float) -> tuple[float, int]:
        waits = self._busy(one) + 1
        return ms * waits / self._share(one, now), self._seen[one.name].picked

    def _time(self, name: str, now: float) -> float | None:
        sketch = self._sketches.get(name)
        return None if sketch is None else sketch.quantile(self._share_of, now)

    def _learn(self, name: str, ms: float, now: float) -> None:
        sketch = self._sketches.get(name)
        if sketch is None:
            sketch = self._sketches[name] = Sketch(now)
        sketch.add(ms, now)

    def _forget(self, name: str) -> None:
        self._sketches.pop(name, None)
