"""What one process knows of a breaker, so that most calls ask nobody."""

from __future__ import annotations

import pytest

from coordq.errors import BreakerOpen
from coordq.fleet.breaker.calls import Answer, Report
from coordq.fleet.breaker.ledger import BLIND_S, FRESH_S, HELD_S, Ledger
from coordq.fleet.breaker.thresholds import Thresholds

CLOSED = Answer("closed", "", 0, True, "", Thresholds(slow=1))  # noqa: FBT003 - a reply
OPEN = Answer("open", "", 30_000, False, "", Thresholds())  # noqa: FBT003 - a reply
TRIED = Answer("half-open", "", 0, True, "t1", Thresholds())  # noqa: FBT003 - a reply
WAITS = Answer("half-open", "", 1000, False, "", Thresholds())  # noqa: FBT003 - a reply
FORCED = Answer("open", "open", 30_000, False, "", Thresholds())  # noqa: FBT003 - a reply


def test_a_closed_breaker_is_believed_for_a_second() -> None:
    """One caller asks, and the others go on meanwhile."""
    ledger = Ledger("api")
    assert ledger.must_ask(0)
    assert not ledger.must_ask(0)
    assert ledger.decide(CLOSED, 0.01) == ""

    assert not ledger.must_ask(FRESH_S)
    assert ledger.must_ask(FRESH_S + 0.01)
    assert not ledger.must_ask(FRESH_S + 0.02)


@pytest.mark.parametrize("answer", [OPEN, FORCED, WAITS])
def test_an_open_one_is_asked_about_once_a_second(answer: Answer) -> None:
    """An operator may have closed it."""
    ledger = Ledger("api")
    ledger.learn(answer, 0)
    with pytest.raises(BreakerOpen):
        ledger.must_ask(0.9)

    assert ledger.must_ask(1)
    with pytest.raises(BreakerOpen):
        ledger.decide(answer, 1)

    assert ledger.take().refused == 2


def test_when_it_may_be_tried_each_caller_asks() -> None:
    """A grant is for one call."""
    ledger = Ledger("api")
    assert ledger.decide(TRIED, 0) == "t1"

    assert ledger.must_ask(0.1)
    assert ledger.must_ask(0.1)


def test_failures_are_told_at_once_and_successes_together() -> None:
    """Half a second late at most, by the next call, or a hundred together."""
    ledger = Ledger("api")
    ledger.learn(CLOSED, 0)

    assert not ledger.count(failed=False, took_s=0.1, now_s=1)
    assert ledger.count(failed=False, took_s=2, now_s=1), "it was slow"
    assert ledger.take() == Report(calls=2, slow=1)
    assert not ledger.count(failed=False, took_s=0, now_s=2)
    assert ledger.count(failed=False, took_s=0, now_s=2 + HELD_S)
    assert ledger.count(failed=True, took_s=0, now_s=2)
    ledger.take()
    told = [ledger.count(failed=False, took_s=0, now_s=3) for _ in range(100)]
    assert told == [False] * 99 + [True]


def test_without_redis_an_open_one_stays_open_until_it_may_be_tried() -> None:
    """Then calls are made: nobody can say how many."""
    ledger = Ledger("api")
    ledger.learn(OPEN, 0)
    assert ledger.must_ask(1)
    ledger.go_blind(Report(calls=1, failures=1), 1)
    with pytest.raises(BreakerOpen):
        ledger.decide_blind(1)
    with pytest.raises(BreakerOpen):
        ledger.must_ask(2)

    assert ledger.must_ask(31)
    ledger.decide_blind(31)
    assert not ledger.must_ask(31)
    assert not ledger.count(failed=True, took_s=0, now_s=1 + BLIND_S - 0.1)
    assert ledger.take() == Report(calls=2, failures=2, refused=2)
