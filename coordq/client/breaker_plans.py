"""Operations on circuit breakers, written once for both clients."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

from coordq.amounts import is_number, is_whole
from coordq.client.plan import Plan
from coordq.errors import BreakerNotFound, BreakerOpen, BulkheadFull, InvalidBreaker
from coordq.fleet.breaker import calls
from coordq.fleet.breaker.budget import RetryBudget
from coordq.fleet.breaker.bulkhead import check_places
from coordq.fleet.breaker.calls import BreakerView
from coordq.fleet.breaker.ledger import Ledger
from coordq.fleet.breaker.thresholds import check_subject, make

RETRIES_MAX: Final = 100
DELAY_MAX_S: Final = 30.0
NOT_MADE: Final = (BreakerOpen, BulkheadFull)
"""A call that was not made is not retried: it would not be made again."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How a call is guarded, checked."""

    subject: str
    ignore: tuple[type[BaseException], ...] = ()
    concurrency: int = 0
    wait: float = 0.0

    def __post_init__(self) -> None:
        check_subject(self.subject)
        check_places(self.concurrency, self.wait)
        if not isinstance(self.ignore, tuple) or not all(
            isinstance(kind, type) and issubclass(kind, BaseException) for kind in self.ignore
        ):
            raise InvalidBreaker(
                f"ignore={self.ignore!r}: give a tuple of exceptions.", field="ignore"
            )

    def failed(self, kind: type[BaseException] | None) -> bool | None:
        """Whether a call failed that ended so; None when that says nothing about the subject.

        Who cancels a call, or ends the process, is not the subject.
        """
        if kind is None:
            return False
        if issubclass(kind, self.ignore) or not issubclass(kind, Exception):
            return None
        return True


class Shelf:
    """What one client knows of all breakers that it has met. Thread-safe."""

    def __init__(self) -> None:
        self.lock = Lock()
        self._ledgers: dict[str, Ledger] = {}
        self._budgets: dict[str, RetryBudget] = {}

    def ledger(self, subject: str) -> Ledger:
        """What is known of one."""
        with self.lock:
            return self._ledgers.setdefault(subject, Ledger(subject))

    def budget(self, subject: str) -> RetryBudget:
        """How many retries it has left."""
        with self.lock:
            return self._budgets.setdefault(subject, RetryBudget())

    def ledgers(self) -> list[Ledger]:
        """All."""
        with self.lock:
            return list(self._ledgers.values())


def check_retries(retries: Any, delay: Any) -> None:
    """Raise InvalidBreaker for what cannot be retried so."""
    if not is_whole(retries, 0, RETRIES_MAX):
        raise InvalidBreaker(
            f"retries={retries!r}: give a whole number up to {RETRIES_MAX}.", field="retries"
        )
    if not is_number(delay, 0, DELAY_MAX_S):
        raise InvalidBreaker(f"delay={delay!r}: give seconds up to {DELAY_MAX_S:g}.", field="delay")


def pause_s(delay: float, attempt: int) -> float:
    """How long to wait before a retry: twice as long each time, at random, so callers part."""
    return min(DELAY_MAX_S, delay * 2.0**attempt) * random.uniform(0.5, 1.0)


# -- looking and changing --------------------------------------------------------------------------


def ls() -> Plan[tuple[BreakerView, ...]]:
    """All that are known."""
    found: tuple[BreakerView, ...] = yield calls.look()
    return found


def states(subjects: Sequence[str]) -> Plan[dict[str, str]]:
    """In which state each is for who would call it now.

    An operator's word counts; one that has been open for long enough is half-open: it waits for a
    call to be tried, and whoever left it out would leave it out for ever.
    """
    if not subjects:
        return {}
    found: tuple[BreakerView, ...] = yield calls.look(*subjects)
    return {one.subject: one.forced or _due(one) for one in found}


def _due(view: BreakerView) -> str:
    return "half-open" if view.state == "open" and not view.wait_ms else view.state


def get(subject: str) -> Plan[BreakerView]:
    """One of them. Raises BreakerNotFound."""
    (view,) = yield calls.look(subject)
    if not view.known:
        found = yield from ls()
        names = ", ".join(one.subject for one in found[:20]) or "none yet"
        raise BreakerNotFound(
            f"There is no breaker for {subject!r}; there are: {names}.", subject=subject
        )
    seen: BreakerView = view
    return seen


def put(subject: str, given: dict[str, Any] | None) -> Plan[BreakerView]:
    """Give it thresholds of its own, or None for the usual ones."""
    yield calls.put(subject, None if given is None else make(**given))
    (view,) = yield calls.look(subject)
    seen: BreakerView = view
    return seen


def force(subject: str, what: str, *, who: str, why: str) -> Plan[BreakerView]:
    """Open it, close it, or let it follow its calls again."""
    if what == "reset":
        yield from get(subject)
    yield calls.force(subject, what, who=who, why=why)
    (view,) = yield calls.look(subject)
    seen: BreakerView = view
    return seen
