"""How much a worker's silence means: nothing yet, a suspicion, or its death.

This is the phi accrual failure detector of N. Hayashibara, X. Défago, R. Yared and T. Katayama,
"The phi accrual failure detector" (SRDS 2004). Suspicion is not yes or no but a number that grows
with the silence: phi = -log10(P), where P is the probability that a beat comes even later than
now, if the worker goes on as it did. So phi 8 is wrong once in 10^8 beats. Intervals are taken as
normally distributed, with the mean and the deviation of the worker's own last ones: one that beats
regularly is suspected early, one that staggers late.

Two things are added. The distribution of a worker that was never late has no width, and that of
one that was once starved has too much: the deviation is at least a quarter of a beat, and both
decisions are held between bounds, in beats, so that what was promised about detection holds for
every worker. And a worker that is suspected and heard again, and again, is *flapping*: it is told
once, not each time, and gets all the patience the bounds allow until it has calmed down.

Nothing here knows what time it is: silences are differences of Redis's clock, given by the caller.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

SUSPECT_PHI: Final = 8.0
DEAD_PHI: Final = 12.0
SUSPECT_BEATS: Final = (2.0, 3.5)
"""Not suspected before so many beats of silence; suspected after so many, whatever phi is."""
DEAD_BEATS: Final = (3.0, 4.5)
"""The same for being declared dead."""
DEVIATION_BEATS: Final = 0.25
"""The least deviation that is believed."""
PHI_MAX: Final = 99.0
WINDOW: Final = 64
"""How many intervals are remembered."""
EXTRA_BEATS: Final = 0.5
"""A beat that comes sooner than this was sent for a reason of its own; it is not the rhythm."""
LEARNT: Final = 5
"""After so many intervals the beat of a worker that promised none is known."""
DEFAULT_BEAT_MS: Final = 2000

_SUSPECT_DEVIATIONS: Final = 5.6120
"""How many deviations above the mean phi is 8."""
_DEAD_DEVIATIONS: Final = 7.0345
"""... and 12."""

FLAPPING: Final = 3.0
"""So many recoveries from suspicion within a short time are flapping."""
CALM: Final = 0.5
HALF_LIFE_MS: Final = 60_000
"""After so long a recovery counts half."""


class Rhythm:
    """How one worker beats: its last intervals, and what they say about a silence."""

    __slots__ = (
        "_intervals",
        "_promised",
        "_sum",
        "_sum_of_squares",
        "beat_ms",
        "dead_ms",
        "suspect_ms",
    )

    def __init__(self, beat_ms: float, *, promised: bool = True) -> None:
        self.beat_ms = beat_ms
        """One beat in so long: what it promised, or else the longest that is possible."""
        self._promised = promised
        self.suspect_ms = 0.0
        """It is suspected after so long a silence."""
        self.dead_ms = 0.0
        """It is dead after so long a silence."""
        self._intervals: deque[float] = deque(maxlen=WINDOW)
        self._sum = self._sum_of_squares = 0.0
        self._learn()

    def hear(self, interval_ms: float) -> None:
        """It beat again, so long after its last beat."""
        if interval_ms < self.beat_ms * EXTRA_BEATS:
            return
        if len(self._intervals) == WINDOW:
            oldest = self._intervals[0]
            self._sum -= oldest
            self._sum_of_squares -= oldest * oldest
        self._intervals.append(interval_ms)
        self._sum += interval_ms
        self._sum_of_squares += interval_ms * interval_ms
        self._learn()

    @property
    def mean_ms(self) -> float:
        """Its mean interval; what it promised until it was heard twice."""
        return self._sum / len(self._intervals) if self._intervals else self.beat_ms

    @property
    def deviation_ms(self) -> float:
        """The standard deviation of its intervals, as far as that is believed."""
        least = self.beat_ms * DEVIATION_BEATS
        amount = len(self._intervals)
        if amount < 2:  # noqa: PLR2004 - one interval has no deviation
            return least
        variance = self._sum_of_squares / amount - self.mean_ms**2
        return max(least, math.sqrt(max(0.0, variance)))

    def phi(self, silence_ms: float) -> float:
        """How much a silence of this length tells against the worker; at most 99."""
        late = (silence_ms - self.mean_ms) / (self.deviation_ms * math.sqrt(2))
        later = math.erfc(late) / 2
        return min(PHI_MAX, max(0.0, -math.log10(later))) if later > 0 else PHI_MAX

    def _learn(self) -> None:
        mean = self.mean_ms
        if not self._promised and len(self._intervals) >= LEARNT:
            self.beat_ms = min(self.beat_ms, mean)
        deviation = self.deviation_ms
        self.suspect_ms = _between(
            SUSPECT_BEATS, self.beat_ms, mean + _SUSPECT_DEVIATIONS * deviation
        )
        self.dead_ms = _between(DEAD_BEATS, self.beat_ms, mean + _DEAD_DEVIATIONS * deviation)

    @property
    def suspect_latest_ms(self) -> float:
        """It is suspected after so long a silence at the latest."""
        return self.beat_ms * SUSPECT_BEATS[1]

    @property
    def dead_latest_ms(self) -> float:
        """It is dead after so long a silence at the latest."""
        return self.beat_ms * DEAD_BEATS[1]


def _between(beats: tuple[float, float], beat_ms: float, silence_ms: float) -> float:
    return min(max(silence_ms, beats[0] * beat_ms), beats[1] * beat_ms)


class Damper:
    """Counts recoveries from suspicion, and forgets them little by little."""

    __slots__ = ("_at_ms", "_penalty", "flapping")

    def __init__(self, penalty: float = 0.0, at_ms: int = 0, *, flapping: bool = False) -> None:
        self._penalty = penalty
        self._at_ms = at_ms
        self.flapping = flapping
        """Whether it has come and gone too often lately."""

    def penalty(self, now_ms: int) -> float:
        """What is left of the recoveries: each counts half after a minute."""
        if not self._penalty:
            return 0.0
        return float(self._penalty * 0.5 ** (max(0, now_ms - self._at_ms) / HALF_LIFE_MS))

    def recover(self, now_ms: int) -> bool:
        """It was suspected, or dead, and is heard again; true when that begins to be flapping."""
        self._penalty, self._at_ms = self.penalty(now_ms) + 1, now_ms
        began = not self.flapping and self._penalty > FLAPPING - 0.5
        self.flapping = self.flapping or began
        return began

    def calm(self, now_ms: int) -> bool:
        """Whether it has just stopped flapping."""
        if not self.flapping or self.penalty(now_ms) >= CALM:
            return False
        self.flapping = False
        return True
