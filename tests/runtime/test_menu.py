"""What a child asks for: queues in the right order, routes it can serve."""

from __future__ import annotations

import random
from collections import Counter

from coordq.engine import keys
from coordq.runtime.menu import Menu, Skill, served_queues

READER = Skill(frozenset({"read", "parse"}), "reader", frozenset({"http", "gpu"}))
WRITER = Skill(frozenset({"write"}), "", frozenset())
ROOT = keys.root("ns", 0)


def menu(*queues: tuple[str, int]) -> Menu:
    """A menu of both skills."""
    return Menu([READER, WRITER], queues or (("default", 1),), chance=random.Random(7))


def test_equal_weights_mean_the_given_order() -> None:
    """`--queues a,b` serves a first, always: that is what a list of names says."""
    assert {menu(("a", 1), ("b", 1)).order for _ in range(20)} == {"a b"}


def test_weights_share_out_the_first_place() -> None:
    """`--queues a:3,b` must not starve b: it comes first once in four times."""
    weighted = menu(("a", 3), ("b", 1))

    firsts = Counter(weighted.order.split()[0] for _ in range(4000))

    assert 0.70 < firsts["a"] / 4000 < 0.80


def test_every_queue_is_asked_for_in_every_claim() -> None:
    """A weight decides who is first, never who is left out."""
    weighted = menu(("a", 3), ("b", 1), ("c", 9))

    assert all(sorted(weighted.order.split()) == ["a", "b", "c"] for _ in range(50))


def test_only_routes_that_an_agent_can_serve_are_learnt() -> None:
    """A task that wants a role must not be claimed by an agent that lacks it."""
    learning = menu()

    learning.learn(["read@reader+gpu", "write@reader", "read@+tpu", "other@"], version=4)

    assert learning.served.split() == ["parse", "read", "read@reader+gpu", "write"]
    assert learning.routes_version == 4


def test_a_worker_is_woken_by_every_queue_and_route_it_serves() -> None:
    """A route without a marker would be found only by the next plain claim, seconds later."""
    marks = menu(("a", 1), ("b", 1)).markers(ROOT)

    wanted = {
        keys.marker(ROOT, queue, task) for queue in "ab" for task in ("read", "parse", "write")
    }
    assert wanted <= set(marks)


def test_without_a_choice_a_worker_serves_the_queues_its_tasks_name() -> None:
    """A task defined with queue="mail" is served without repeating that on the command line."""
    assert served_queues((), ["mail", "default", "mail"]) == (("default", 1), ("mail", 1))
    assert served_queues([("only", 2)], ["mail"]) == (("only", 2),)
