"""An auditor must never put right what is right, however much goes on while it reads."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest

from coordq.client.audit import Report, run
from coordq.engine.connection import open_engine
from tests.work.desk import Desk, order
from tests.work.test_model import Queues, walk
from tests.work.test_races import put_many


class Audited(Queues):
    """Every step is followed by an audit that must find nothing."""

    def the_books_balance(self) -> None:
        """Also for the auditor of the product."""
        for report in run(self.engine, look=False):
            assert report.findings == []


@pytest.mark.parametrize("seed", range(3))
def test_an_audit_after_each_step_of_a_random_walk_finds_nothing(redis_url: str, seed: int) -> None:
    """Whatever state tasks can come to by right, it is no damage."""
    queues = type("Walked", (Audited,), {"url": redis_url})()
    try:
        walk(queues, random.Random(1000 + seed), steps=80)
    finally:
        queues.teardown()


class Nightwatch:
    """Audits on a connection of its own, again and again, until told to stop."""

    def __init__(self, url: str, namespace: str) -> None:
        self._place = url, namespace
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.reports: list[Report] = []
        self.failure: BaseException | None = None

    def _watch(self) -> None:
        url, namespace = self._place
        try:
            with open_engine(url, namespace=namespace) as engine:
                while not (self.reports and self._over.is_set()):
                    *_, last = run(engine, look=False)
                    self.reports.append(last)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            self.failure = error

    def has_suspected(self) -> bool:
        """Whether something moved between two pages."""
        return any(report.suspects for report in self.reports)

    def during(self, work: Callable[[], None]) -> None:
        """Watch while `work` is done, and for a whole audit at least."""
        self._thread.start()
        try:
            work()
        finally:
            self._over.set()
            self._thread.join()
        assert self.failure is None
        assert self.reports
        assert [one for report in self.reports for one in report.findings] == []


def test_audits_beside_a_random_walk_repair_nothing(redis_url: str) -> None:
    """Pages are older than what they are compared with: what moved meanwhile is only suspect."""
    queues = type("Walked", (Queues,), {"url": redis_url})()
    watch = Nightwatch(redis_url, queues.engine.namespace)
    try:
        watch.during(lambda: walk(queues, random.Random(7), steps=150))
    finally:
        queues.teardown()


def test_audits_beside_a_queue_that_drains_repair_nothing(desk: Desk, redis_url: str) -> None:
    """Thousands of tasks change hands between two pages of an audit."""
    put_many(desk, 4000)
    watch = Nightwatch(redis_url, desk.engine.namespace)

    def drain() -> None:
        kinds = ("succeeded", "failed", "retry", "release", "snooze", "cancelled")
        dice = random.Random(3)
        for number in range(1000):
            if number >= 60 and watch.has_suspected():
                break
            for held in desk.claim(20).claims:
                desk.end(held, dice.choice(kinds), delay_ms=dice.choice((0, 50)))
            desk.place(order(delay=dice.choice((0, 0, 0.01)), unique="u"))

    watch.during(drain)

    assert watch.has_suspected(), "nothing moved between pages"
