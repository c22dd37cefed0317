"""What one process knows of one breaker, so that most calls ask nobody; pure.

A closed breaker is believed for a second, so a transition is known everywhere a second after the
next call. Failures are reported at once, successes together: at most half a second late, by the
next call. An open breaker is believed until it may be tried, and asked about once a second, since
an operator may have closed it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from coordq.errors import BreakerOpen
from coordq.fleet.breaker.calls import AMOUNT_MAX, Answer, Report

FRESH_S: Final = 1.0
"""For so long an answer is believed."""
BLIND_S: Final = 5.0
"""A Redis that did not answer is left alone for so long."""
HELD_S: Final = 0.5
"""How long successes are held back."""
HELD_MAX: Final = 100


@dataclass(slots=True)
class Ledger:
    """One subject. Not thread-safe: its owner holds a lock, and none while it talks to Redis."""

    subject: str
    answer: Answer | None = None
    learned_s: float = float("-inf")
    reopens_s: float = float("-inf")
    """From when on a breaker that is not closed is worth asking again."""
    blind_until_s: float = float("-inf")
    held: Report = field(default_factory=Report)
    held_since_s: float = float("inf")

    def must_ask(self, now_s: float) -> bool:
        """Whether Redis decides about the next call; when not, it may be made.

        While one caller asks, others believe what was true a moment ago. Raises BreakerOpen when
        the call must not be made.
        """
        if self.is_stale(now_s):
            return True
        if self.answer is None or self.answer.closed:
            return False
        raise self.refused(self.reopens_s - now_s)

    def is_stale(self, now_s: float) -> bool:
        """Whether Redis is to be asked about the next call; who is told so asks."""
        answer = self.answer
        stale = now_s - self.learned_s >= FRESH_S and now_s >= self.blind_until_s
        if answer is not None and not answer.closed:
            # a call that is tried was granted to one caller: the next one needs its own grant
            stale = stale or bool(answer.token) or now_s >= self.reopens_s
        if stale:
            self.learned_s = now_s
        return stale

    def refused(self, wait_s: float) -> BreakerOpen:
        """A call is not made: it is counted, and this is what to raise."""
        self.held = replace(self.held, refused=self.held.refused + 1)
        answer = self.answer
        state = answer.state if answer is not None else "open"
        who = ", an operator opened it" if answer is not None and answer.forced else ""
        left_s = max(0.0, wait_s)
        return BreakerOpen(
            f"{self.subject} is not called: its breaker is {state}{who}. Try again in "
            f"{left_s:.1f} s, or look with `coordq breaker show {self.subject}`.",
            subject=self.subject,
            state=state,
            retry_after=round(left_s, 3),
        )

    def learn(self, answer: Answer, now_s: float) -> None:
        """What Redis said to a report."""
        self.answer, self.learned_s = answer, now_s
        self.reopens_s = now_s + answer.wait_ms / 1000

    def decide(self, answer: Answer, now_s: float) -> str:
        """What Redis said to who asked; the token of the call. Raises BreakerOpen."""
        self.learn(answer, now_s)
        if not answer.allowed:
            raise self.refused(answer.wait_ms / 1000)
        return answer.token

    def go_blind(self, told: Report, now_s: float) -> None:
        """Redis did not answer: what was to be told is kept, and it is left alone for a while."""
        held = self.held
        self.held = Report(
            held.calls + told.calls,
            held.failures + told.failures,
            held.slow + told.slow,
            held.refused + told.refused,
        )
        self.blind_until_s = now_s + BLIND_S

    def decide_blind(self, now_s: float) -> None:
        """Redis did not answer who asked: the call is made, unless it is known to be too soon.

        A breaker protects what is called; it must not be one more thing that calls depend on.
        Raises BreakerOpen.
        """
        if self.answer is None or self.answer.closed:
            return
        if now_s < self.reopens_s:
            raise self.refused(self.reopens_s - now_s)
        self.answer = None

    def count(self, *, failed: bool, took_s: float, now_s: float) -> bool:
        """A call has ended; whether that is to be told now."""
        slow = self.is_slow(took_s)
        held = self.held
        self.held = replace(
            held,
            calls=min(held.calls + 1, AMOUNT_MAX),
            failures=min(held.failures + failed, AMOUNT_MAX),
            slow=min(held.slow + slow, AMOUNT_MAX),
        )
        self.held_since_s = min(self.held_since_s, now_s)
        if now_s < self.blind_until_s:
            return False
        late = now_s - self.held_since_s >= HELD_S or self.held.calls >= HELD_MAX
        return failed or slow or late

    def is_slow(self, took_s: float) -> bool:
        """Whether a call took longer than it may."""
        slow_s = self.answer.thresholds.slow if self.answer is not None else 0.0
        return bool(slow_s) and took_s > slow_s

    def take(self, token: str = "", outcome: str = "none") -> Report:
        """What is to be reported now; it is not held any more."""
        told = replace(self.held, token=token, outcome=outcome)
        self.held, self.held_since_s = Report(), float("inf")
        return told
