"""Breakers by hand: look at them, and let time pass for them."""

from __future__ import annotations

from coordq.fleet.breaker import calls
from coordq.fleet.breaker.calls import Answer, BreakerView, Report
from coordq.fleet.breaker.thresholds import read_thresholds
from tests.work.desk import Desk

QUIET_MS = 120_000


def still_window(desk: Desk) -> float:
    """A window of so many seconds that its tenths do not turn while a test runs.

    Time goes by our hand only: see `pass_time`.
    """
    now_ms = desk.now_ms()
    for seconds in range(3600, 2400, -10):
        if now_ms % (seconds * 100) < seconds * 100 - QUIET_MS:
            return float(seconds)
    raise AssertionError


def seen(desk: Desk, subject: str = "api") -> BreakerView:
    """A breaker as it stands."""
    (view,) = desk.run(calls.look(subject))
    found: BreakerView = view
    return found


def tell(desk: Desk, good: int = 0, bad: int = 0, *, slow: int = 0, subject: str = "api") -> Answer:
    """Calls that have ended."""
    told = Report(calls=good + bad, failures=bad, slow=slow)
    answer: Answer = desk.run(calls.report(subject, told))
    return answer


def ask(desk: Desk, subject: str = "api") -> Answer:
    """Whether a call may be made."""
    answer: Answer = desk.run(calls.report(subject, ask=True))
    return answer


def end(desk: Desk, token: str, outcome: str, subject: str = "api") -> Answer:
    """A call that was tried has ended."""
    counted = {"good": (1, 0), "bad": (1, 1), "none": (0, 0)}[outcome]
    told = Report(calls=counted[0], failures=counted[1], token=token, outcome=outcome)
    answer: Answer = desk.run(calls.report(subject, told))
    return answer


def pass_time(desk: Desk, ms: int, subject: str = "api") -> None:
    """Let so much time have passed: its moments move into the past, its window by whole tenths."""
    key = desk.key(f"breaker:{subject}")
    flat = desk.redis("HGETALL", key)
    fields = {flat[at].decode(): flat[at + 1].decode() for at in range(0, len(flat), 2)}
    thresholds = read_thresholds(fields.get("set", "").encode())
    tenths = int(ms // (thresholds.window * 100))
    for field, text in fields.items():
        if field in {"until", "since"} or field.startswith("@"):
            desk.redis("HSET", key, field, int(text) - ms)
        elif len(field) == 2 and field[0] == "b":
            number, *counts = text.split()
            desk.redis("HDEL", key, field)
            moved = int(number) - tenths
            desk.redis("HSET", key, f"~{field}", " ".join([str(moved), *counts]))
    _settle(desk, key)


def _settle(desk: Desk, key: str) -> None:
    """Tenths stand at their number modulo ten."""
    flat = desk.redis("HGETALL", key)
    for at in range(0, len(flat), 2):
        if flat[at].startswith(b"~b"):
            desk.redis("HDEL", key, flat[at])
            number = int(flat[at + 1].split()[0])
            desk.redis("HSET", key, f"b{number % 10}", flat[at + 1])
