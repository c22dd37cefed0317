"""What all balancers have in common: whom they never pick, who is warming up, who is not trusted.

A balancer is told who could do it, picks one, and is told how that went. It lives in one process
and knows what it has seen itself; `Candidate` carries what the fleet knows. All of them obey:

- an open breaker is never picked, and one that is half open has one piece of work at a time;
- a newcomer beside others gets a tenth of its share at first, and all of it after `warm_up_s`;
- a failure halves an agent's trust, down to a tenth, and a success gives a tenth of it back: its
  share is weight x warmth x trust.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import ClassVar, Final

from coordq import clock
from coordq.amounts import is_number
from coordq.errors import InvalidOption

WARM_UP_S: Final = 10.0
COLD: Final = 0.1
"""What share of its share a newcomer gets."""
TRUST_MIN: Final = 0.1
FAILED_MS: Final = 5_000.0
"""What a failure counts for where time is compared, if it did not take longer: failing fast is not
being fast."""
WEIGHT_MIN: Final = 1e-6
SPARE: Final = 100
"""So many agents that are no candidates any more are remembered for a while."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An agent that could be picked."""

    name: str
    weight: float = 1.0
    running: int = 0
    """What it holds already, from whomever."""
    breaker: str = "closed"
    """closed, half-open or open."""


@dataclass(slots=True)
class Seen:
    """What a balancer has seen of an agent."""

    since_s: float
    in_flight: int = 0
    trust: float = 1.0
    picked: int = 0
    """The number of the pick that chose it last."""


class Balancer:
    """Picks; a subclass says how. Thread-safe.

    warm_up_s: how long newcomers get less; 0 for not at all. clock: seconds, only growing.
    chance: where choices are left to it.
    """

    name: ClassVar[str]

    def __init__(
        self,
        *,
        warm_up_s: float = WARM_UP_S,
        clock: Callable[[], float] = clock.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        if not is_number(warm_up_s, 0) or warm_up_s == float("inf"):
            raise InvalidOption(
                f"warm_up_s={warm_up_s!r}: give seconds from 0.", option="warm_up_s"
            )
        self._warm_up_s = warm_up_s
        self._clock = clock
        self._chance = chance or random.Random()
        self._lock = Lock()
        self._seen: dict[str, Seen] = {}
        self._picks = 0
        self._begin()

    def _begin(self) -> None:
        """Set up what this kind remembers besides."""

    def pick(self, candidates: Sequence[Candidate]) -> str | None:
        """One of them, which has one piece of work more until `done`; None when nobody may."""
        with self._lock:
            now = self._clock()
            self._meet(candidates, now)
            chosen = self._choose(candidates, now)
            if chosen is None:
                return None
            self._picks += 1
            seen = self._seen[chosen.name]
            seen.in_flight += 1
            seen.picked = self._picks
            return chosen.name

    def undo(self, name: str) -> None:
        """It was picked and not given anything after all: nothing is learnt from that."""
        with self._lock:
            if (seen := self._seen.get(name)) is not None:
                seen.in_flight = max(0, seen.in_flight - 1)

    def done(self, name: str, *, ms: float, ok: bool = True) -> None:
        """What was given to it has ended, after so long. Names that are forgotten are ignored."""
        with self._lock:
            seen = self._seen.get(name)
            if seen is None:
                return
            seen.in_flight = max(0, seen.in_flight - 1)
            seen.trust = min(1.0, seen.trust + 0.1) if ok else max(TRUST_MIN, seen.trust / 2)
            self._learn(name, max(0.0, ms) if ok else max(ms, FAILED_MS), self._clock())

    def _choose(self, candidates: Sequence[Candidate], now: float) -> Candidate | None:
        """The one, out of those that `_may` be picked."""
        raise NotImplementedError

    def _learn(self, name: str, ms: float, now: float) -> None:
        """How long it took; failures as the long time that they count for."""

    def _forget(self, name: str) -> None:
        """It is no candidate any more, and has nothing in flight."""

    def _may(self, candidate: Candidate) -> bool:
        """Whether it may be picked at all."""
        if candidate.breaker == "closed":
            return True
        return candidate.breaker == "half-open" and not self._seen[candidate.name].in_flight

    def _share(self, candidate: Candidate, now: float) -> float:
        """Its weight as it counts now."""
        seen = self._seen[candidate.name]
        warmth = 1.0
        if (age_s := now - seen.since_s) < self._warm_up_s:
            warmth = COLD + (1 - COLD) * age_s / self._warm_up_s
        return max(WEIGHT_MIN, candidate.weight * warmth * seen.trust)

    def _busy(self, candidate: Candidate) -> int:
        """What it holds: as it says, or as much of it as is known to be ours."""
        return max(candidate.running, self._seen[candidate.name].in_flight)

    def _meet(self, candidates: Sequence[Candidate], now: float) -> None:
        """Remember who is new, and forget some who have gone."""
        first = not self._seen
        for one in candidates:
            if one.name not in self._seen:
                # those who are there from the beginning are new to us, not to their work
                self._seen[one.name] = Seen(now - self._warm_up_s if first else now)
        if len(self._seen) > 2 * len(candidates) + SPARE:
            here = {one.name for one in candidates}
            for name in [name for name, seen in self._seen.items() if not seen.in_flight]:
                if name not in here:
                    del self._seen[name]
                    self._forget(name)
