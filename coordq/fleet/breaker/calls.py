"""Operations on circuit breakers, on shard 0. What they mean is decided in lua/lib/breaker.lua."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from coordq.amounts import is_whole
from coordq.engine.call import Call
from coordq.errors import InvalidBreaker, InvalidOption
from coordq.fleet.breaker.thresholds import Thresholds, check_subject, read_thresholds
from coordq.ids import new_id

STATES: Final = ("closed", "open", "half-open")
WAYS: Final = ("open", "closed", "reset")
TRIED_MS: Final = 60_000
"""A call that is tried and tells nothing for so long is given up, and another may be tried."""
AMOUNT_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Report:
    """What has become of calls since the last report."""

    calls: int = 0
    failures: int = 0
    slow: int = 0
    """Calls that were slow, whether they failed or not."""
    refused: int = 0
    """Calls that were not made."""
    token: str = ""
    """Of a call that was tried, if it is among them."""
    outcome: str = "none"
    """Of that call: good, bad, or none if it says nothing about the subject."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reporter gets to know."""

    state: str
    forced: str
    """open or closed when an operator has said so, else ""."""
    wait_ms: int
    """How long until it is worth to ask again."""
    allowed: bool
    """Whether the call that was asked for may be made."""
    token: str
    """To be reported with its outcome, when it is one that is tried."""
    thresholds: Thresholds

    @property
    def closed(self) -> bool:
        """Whether any call may be made."""
        return self.allowed and not self.token


@dataclass(frozen=True, slots=True)
class BreakerView:
    """A breaker as it stands."""

    subject: str
    known: bool
    """Whether anything is kept of it; else it is closed."""
    state: str
    """closed: calls are made. open: they are not. half-open: some are tried."""
    forced: str
    """open or closed when an operator has said so, else ""."""
    wait_ms: int
    """Of an open one: until calls are tried."""
    since_ms: int
    """When it came into its state, in milliseconds since 1970; 0: it never changed."""
    opened: int
    """How often it has opened."""
    calls: int
    """In the window."""
    failures: int
    slow: int
    all_calls: int
    """Since it is known."""
    all_failures: int
    all_slow: int
    refused: int
    good: int
    """Of a half-open one: calls that were tried and went well."""
    tried: int
    """Calls that are being tried."""
    own: bool
    """Whether it has thresholds of its own."""
    thresholds: Thresholds
    who: str
    """Who forced it."""
    why: str
    """Why it is in its state."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "subject": self.subject,
            "state": self.state,
            "forced": self.forced,
            "wait_ms": self.wait_ms,
            "since_ms": self.since_ms,
            "opened": self.opened,
            "window": {"calls": self.calls, "failures": self.failures, "slow": self.slow},
            "total": {
                "calls": self.all_calls,
                "failures": self.all_failures,
                "slow": self.all_slow,
                "refused": self.refused,
            },
            "good": self.good,
            "tried": self.tried,
            "own": self.own,
            "thresholds": self.thresholds.to_json(),
            "who": self.who,
            "why": self.why,
        }


def report(
    subject: str, what: Report | None = None, *, ask: bool = False, tried_ms: int = TRIED_MS
) -> Call[Answer]:
    """Say what became of calls, and ask whether the next may be made.

    One that is repeated after a lost reply counts once, and is granted the same call.
    """
    told = what or Report()
    for field in ("calls", "failures", "slow", "refused"):
        amount = getattr(told, field)
        if not is_whole(amount, 0, AMOUNT_MAX):
            raise InvalidBreaker(f"{field}={amount!r}: give a whole number.", field=field)
    args = (
        check_subject(subject),
        new_id(),
        told.calls,
        told.failures,
        told.slow,
        told.refused,
        told.token,
        told.outcome,
        int(ask),
        tried_ms,
    )
    return Call("breaker/report", 0, args, _answer)


def _answer(reply: Any) -> Answer:
    state, forced, wait_ms, allowed, token, thresholds = reply
    return Answer(
        state.decode(),
        forced.decode(),
        wait_ms,
        allowed == 1,
        token.decode(),
        read_thresholds(thresholds),
    )


def force(subject: str, what: str, *, who: str, why: str = "") -> Call[bool]:
    """Open or close a breaker for good, or take that back (reset); whether that changed something.

    Raises InvalidOption, InvalidName.
    """
    if what not in WAYS:
        raise InvalidOption(f"what={what!r}: use one of {', '.join(WAYS)}.", option="what")
    for option, text in (("who", who), ("why", why)):
        if not isinstance(text, str):
            raise InvalidOption(f"{option}={text!r} is not text.", option=option)
    args = (check_subject(subject), what, _line(who) or "-", _line(why))
    return Call("breaker/force", 0, args, lambda reply: reply == 1)


def put(subject: str, thresholds: Thresholds | None) -> Call[bool]:
    """Give a breaker thresholds of its own, or None for the usual ones."""
    text = "" if thresholds is None else thresholds.text()
    return Call("breaker/set", 0, (check_subject(subject), text), lambda reply: reply == 1)


def look(*subjects: str) -> Call[tuple[BreakerView, ...]]:
    """Breakers as they stand; none named: all, those that were written last first, up to 1,000."""
    for subject in subjects:
        check_subject(subject)
    return Call("breaker/look", 0, subjects, lambda reply: tuple(_view(*one) for one in reply))


def _view(subject: bytes, known: int, state: bytes, forced: bytes, *rest: Any) -> BreakerView:
    wait_ms, since, opened, window, totals, good, tried, own, thresholds, who, why = rest
    calls, failures, slow = (int(each) for each in window)
    all_calls, all_failures, all_slow, refused = (int(each) for each in totals)
    return BreakerView(
        subject=subject.decode(),
        known=known == 1,
        state=state.decode(),
        forced=forced.decode(),
        wait_ms=wait_ms,
        since_ms=int(since),
        opened=int(opened),
        calls=calls,
        failures=failures,
        slow=slow,
        all_calls=all_calls,
        all_failures=all_failures,
        all_slow=all_slow,
        refused=refused,
        good=int(good),
        tried=tried,
        own=own == 1,
        thresholds=read_thresholds(thresholds),
        who=who.decode(errors="replace"),
        why=why.decode(errors="replace"),
    )


def _line(text: str) -> str:
    return " ".join(text.split())[:500]
