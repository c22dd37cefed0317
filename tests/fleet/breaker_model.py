"""What a circuit breaker does, told a second time: the model that Redis is held against."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from coordq.fleet.breaker.thresholds import Thresholds


@dataclass
class Model:
    """One breaker on a clock of its own, that goes by whole tenths of the window."""

    thresholds: Thresholds
    now: int = 0
    """In tenths."""
    state: str = "closed"
    forced: str = ""
    opened: int = 0
    reopens: int = 0
    good: int = 0
    tokens: set[str] = field(default_factory=set)
    ended: deque[tuple[int, int, int, int]] = field(default_factory=deque)
    """(when, calls, failures, slow)."""

    def recovery(self) -> int:
        """How long it stays open, in tenths."""
        return round(self.thresholds.recovery * 10 / self.thresholds.window)

    def window(self) -> tuple[int, int, int]:
        """Calls, failures and slow calls of the last ten tenths, this one included."""
        young = [each for each in self.ended if each[0] > self.now - 10]
        return (
            sum(each[1] for each in young),
            sum(each[2] for each in young),
            sum(each[3] for each in young),
        )

    def become(self, state: str) -> None:
        """Another state, in which everything begins anew."""
        self.state, self.good = state, 0
        self.tokens.clear()
        self.ended.clear()
        if state == "open":
            self.opened += 1
            self.reopens = self.now + self.recovery()

    def report(self, good: int, bad: int, slow: int) -> None:
        """Calls have ended."""
        self.ended.append((self.now, good + bad, bad, slow))
        if bad + slow:
            self.judge()

    def judge(self) -> None:
        """Whether it is time to open."""
        calls, failures, slow = self.window()
        at = self.thresholds
        if self.forced or self.state != "closed" or calls < at.min_calls:
            return
        many = failures >= at.failures and failures >= at.rate * calls
        if many or (at.slow and slow and slow >= at.slow_rate * calls):
            self.become("open")

    def ask(self) -> bool:
        """Whether a call may be made; one that is tried is to be named by `granted`."""
        if self.forced:
            return self.forced == "closed"
        if self.state == "open" and self.now >= self.reopens:
            self.become("half-open")
        if self.state == "half-open":
            return len(self.tokens) + self.good < self.thresholds.probes
        return self.state == "closed"

    def granted(self, token: str) -> None:
        """The token of a call that is tried."""
        self.tokens.add(token)

    def end(self, token: str, outcome: str) -> None:
        """A call that was tried has ended."""
        if outcome != "none":
            self.ended.append((self.now, 1, int(outcome == "bad"), 0))
        known = token in self.tokens
        self.tokens.discard(token)
        if known and self.state == "half-open" and not self.forced:
            if outcome == "bad":
                self.become("open")
            elif outcome == "good":
                self.good += 1
                if self.good >= self.thresholds.probes:
                    self.become("closed")
        if outcome == "bad":
            self.judge()

    def force(self, what: str) -> None:
        """An operator says so."""
        if what == "reset":
            changed = self.forced or self.state != "closed" or self.window()[0]
            self.forced = ""
            if changed:
                self.become("closed")
        elif self.forced != what:
            self.forced = what
            self.become(what)
