"""Tenants as people see them: who came, what each weighs, and what cannot be."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from coordq.errors import InvalidLimit, InvalidName
from coordq.work import tenant as tenants
from coordq.work.look import page
from coordq.work.options import DEFAULTS
from coordq.work.task import State
from tests.work.desk import Desk
from tests.work.test_fair import put, served, weigh

BAD_WEIGHTS = [0, -1, 0.0009, 1001, float("nan"), float("inf"), True, "3", None]
BAD_NAMES = ["", " ", "a b", "a~b", "~", "ü", "-a", "a\nb", "x" * 101, 7]


# -- looking -----------------------------------------------------------------------------------


def test_a_tenant_is_known_by_what_it_had_and_has(desk: Desk) -> None:
    """Weight, how many tasks were started, and what waits, over all queues."""
    weigh(desk, a=2)
    put(desk, "a", 3)
    put(desk, "a", 4, queue="mail")
    put(desk, "a", 2, priority="low")
    desk.claim(2)

    page = desk.run(tenants.page(0))

    assert page.found == (tenants.TenantView("a", 2, served=2, backlog=7),)
    assert desk.run(tenants.one(0, "a")) == page.found[0]
    assert desk.run(tenants.one(0, "nobody")) is None


def test_a_thousand_tenants_come_page_by_page(desk: Desk) -> None:
    """Each of them, and none is left out."""
    for number in range(1000):
        desk.redis("HSET", desk.key("tenants"), f"t{number}", "1")
    found: set[str] = set()
    cursor, pages = "0", 0

    while pages == 0 or cursor != "0":
        page = desk.run(tenants.page(0, cursor))
        found |= {view.name for view in page.found}
        cursor, pages = page.cursor, pages + 1

    assert len(found) == 1000
    assert pages > 1


def test_who_is_forgotten_weighs_as_usual(desk: Desk) -> None:
    """Its tasks stay where they are, and with them it stays known."""
    weigh(desk, a=9)
    put(desk, "a", 3)
    desk.take()

    assert desk.run(tenants.forget(0, "a"))
    assert desk.run(tenants.one(0, "a")) == tenants.TenantView("a", 1, served=0, backlog=2)

    desk.claim(2)
    assert desk.run(tenants.forget(0, "a"))
    assert desk.run(tenants.one(0, "a")) is None
    assert not desk.run(tenants.forget(0, "a"))


def test_a_list_of_ready_tasks_has_those_of_all_tenants(desk: Desk) -> None:
    """As people look for them."""
    ids = [*put(desk, "a", 2), *put(desk, "b", 1), desk.put()]

    listed = desk.run(page(0, State.READY)).tasks

    assert {task.id for task in listed} == set(ids)
    assert desk.queue().oldest_ready_ms is not None


def test_a_glance_says_whose_turn_it_is(desk: Desk) -> None:
    """Its share, who comes before, and where it stands among its tenant's own."""
    weigh(desk, a=3)
    put(desk, "b", 5)
    *_, last = put(desk, "a", 4)

    glance = desk.glance(last)

    assert glance.turn is not None
    assert (glance.turn.weight, glance.turn.weights, glance.turn.tenants) == (3, 4, 2)
    assert (glance.turn.before, glance.turn.share) == (1, 0.75)
    assert glance.task.position == 3
    assert desk.glance(desk.put()).turn is None


# -- weights at one queue ----------------------------------------------------------------------


def test_a_weight_at_a_queue_counts_there_and_nowhere_else(desk: Desk) -> None:
    """In place of the general one, whether that is set before, after or forgotten."""
    desk.run(tenants.weigh(0, "a", 3, queue="mail"))
    for queue in ("mail", "default"):
        for name in ("a", "b"):
            put(desk, name, 100, queue=queue)
    weigh(desk, a=1.0)

    shares = {
        queue: Counter(one.spec.tenant for one in desk.claim(40, queues=queue).claims)["a"]
        for queue in ("mail", "default")
    }

    assert 19 <= shares["default"] <= 21
    assert 29 <= shares["mail"] <= 31
    glance = desk.glance(put(desk, "a", queue="mail")[0])
    assert glance.turn is not None
    assert (glance.turn.weight, glance.turn.weights) == (3, 4)


def test_a_weight_at_a_queue_counts_at_once(desk: Desk) -> None:
    """The way to the next turn shrinks and grows there; elsewhere nobody moves."""
    for queue in ("mail", "default"):
        for name in ("a", "b"):
            put(desk, name, 50, queue=queue)

    def passes(queue: str) -> list[float]:
        key = desk.key(f"fair:{queue}:2job~")
        return [float(desk.redis("ZSCORE", key, name)) for name in ("a", "b")]

    first, second = passes("mail")
    before = passes("default")

    assert not desk.run(tenants.weigh(0, "b", 4, queue="mail"))
    assert passes("mail") == [first, first + (second - first) / 4]
    weigh(desk, b=100)
    assert passes("mail") == [first, first + (second - first) / 4]
    assert passes("default") == [before[0], before[0] + (before[1] - before[0]) / 100]
    assert desk.run(tenants.forget(0, "b", queue="mail"))
    assert passes("mail") == [first, first + (second - first) / 100]


def test_who_is_forgotten_has_no_weight_at_a_queue_either(desk: Desk) -> None:
    """Everything that was said of it is."""
    desk.run(tenants.weigh(0, "a", 5, queue="mail"))
    assert desk.run(tenants.one(0, "a")) == tenants.TenantView("a", 1, 0, 0, {"mail": 5})

    assert desk.run(tenants.forget(0, "a"))

    assert desk.run(tenants.one(0, "a")) is None
    assert desk.redis("EXISTS", desk.key("weights:mail")) == 0


# -- what cannot be ----------------------------------------------------------------------------


@pytest.mark.parametrize("weight", BAD_WEIGHTS, ids=str)
def test_a_weight_that_cannot_be_kept_is_refused(weight: Any) -> None:
    """With the range in the message; before anything is sent."""
    with pytest.raises(InvalidLimit, match=r"0\.001 to 1000") as caught:
        tenants.weigh(0, "a", weight)

    assert caught.value.code == "invalid-limit"


@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
def test_a_tenant_that_cannot_be_named_is_refused(name: Any) -> None:
    """Names end up in keys and on command lines."""
    for attempt in (
        lambda: DEFAULTS.merge(tenant=name),
        lambda: tenants.weigh(0, name, 1),
        lambda: tenants.forget(0, name),
        lambda: tenants.one(0, name),
    ):
        with pytest.raises(InvalidName) as caught:
            attempt()
        assert caught.value.code == "invalid-name"


@pytest.mark.parametrize("scribble", ["0", "-3", "nan", "1e9", "much", ""])
def test_a_weight_that_somebody_scribbled_counts_as_one(desk: Desk, scribble: str) -> None:
    """No tenant gets everything, or nothing, by it."""
    desk.redis("HSET", desk.key("tenants"), "odd", scribble)
    put(desk, "odd", 20)
    put(desk, "even", 20)

    assert Counter(served(desk, 20)) == {"odd": 10, "even": 10}


@pytest.mark.parametrize("key", ["fair:default:2job~", "tenants"])
def test_a_strangers_key_in_the_way_loses_no_task(desk: Desk, key: str) -> None:
    """The claim fails before anything has left its line, and goes on when the key is gone."""
    put(desk, "a", 3)
    put(desk, "b", 3)
    before = desk.redis("DUMP", desk.key(key))
    desk.redis("SET", desk.key(key), "what is this")

    with pytest.raises(Exception, match="WRONGTYPE"):
        desk.claim(4)

    desk.redis("RESTORE", desk.key(key), 0, before, "REPLACE")
    assert len(desk.claim(10).claims) == 6
