"""How long slots are held, how long handlers work in them, and how long tasks had waited.

Sums run over time, so that a handler that works for an hour counts while it works, not when it is
done. Histograms have buckets that double: bucket n counts what took less than 2**n microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from coordq import clock
from coordq.ids import created_ms
from coordq.runtime.ledger import BUCKETS, Histogram, Ledger, Word
from coordq.work.claim import Claim

FRESH: Final = 2
"""The version of a task that was ready when it was enqueued and is claimed for the first time."""
RUNS_MAX: Final = 1000
"""So many runs between two notes are counted one by one."""


class Stopwatch:
    """What one child spends its time on. Noted in the ledger, for the parent to add up.

    Every task passes here, so a run is only put on a list; sums are made when they are noted.
    """

    __slots__ = (
        "_held",
        "_held_at",
        "_held_s",
        "_runs",
        "_took",
        "_turn",
        "_waits",
        "_worked_s",
        "ran",
    )

    def __init__(self) -> None:
        self._held = 0
        self._held_at = 0.0
        self._held_s = 0.0
        self._worked_s = 0.0
        self._turn = 0
        self._waits = [0] * BUCKETS
        self._runs = [0] * BUCKETS
        self._took: list[float] = []
        self.ran = self._took.append
        """A handler was at work for so many seconds, and is done."""

    def hold(self, amount: int) -> None:
        """So many claims are held from now on."""
        if amount == self._held:
            return
        now = clock.monotonic()
        self._held_s += self._held * (now - self._held_at)
        self._held, self._held_at = amount, now

    def waited(self, claims: Sequence[Claim], granted_ms: int) -> None:
        """Tasks were granted at a moment of Redis's clock.

        Counted are those that were ready at once and start for the first time: their ids say since
        when they wait, by the clock of who enqueued them. Those of one claim stood in line
        together, so one speaks for all: now the first, now another.
        """
        amount = len(claims)
        self._turn = (self._turn + 1) % amount
        claim = claims[self._turn]
        if claim.version == FRESH:
            waited_us = max(0, granted_ms - created_ms(claim.id)) * 1000
            self._waits[min(BUCKETS - 1, waited_us.bit_length())] += amount

    def note(self, ledger: Ledger, begun: Iterable[float] = ()) -> None:
        """Write it all into the ledger. begun: when those handlers began that are at work now."""
        self._add_runs()
        now = clock.monotonic()
        held_s = self._held_s + self._held * (now - self._held_at)
        worked_s = self._worked_s + sum(now - at for at in begun)
        ledger.put(Word.HELD_MS, int(held_s * 1000))
        ledger.put(Word.WORKED_MS, int(worked_s * 1000))
        ledger.put_histogram(Histogram.WAITS, self._waits)
        ledger.put_histogram(Histogram.RUNS, self._runs)

    def _add_runs(self) -> None:
        """All go into the sum; of very many some speak for the others in the histogram."""
        took = self._took
        self._worked_s += sum(took)
        weight = len(took) // RUNS_MAX + 1
        for took_s in took[::weight]:
            self._runs[int(took_s * 1e6).bit_length()] += weight
        took.clear()


def shortened(counts: list[int]) -> list[int]:
    """A histogram without the empty buckets at its end."""
    last = max((at for at, amount in enumerate(counts) if amount), default=-1)
    return counts[: last + 1]
