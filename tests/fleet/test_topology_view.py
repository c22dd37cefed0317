"""The compiled view: who may talk to whom, why not, and what would change."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.fleet.topology.change import change
from coordq.fleet.topology.make import make
from coordq.fleet.topology.shape import Topology
from coordq.fleet.topology.view import View

FIVE = ("a", "b", "c", "d", "e")
ALL: dict[str, Topology] = {
    "mesh": make("mesh", FIVE),
    "star": make("star", FIVE),
    "ring": make("ring", FIVE),
    "tree": make("tree", FIVE, fanout=2),
    "groups": make("groups", groups=[["a", "b", "c"], ["d", "e"]]),
    "graph": make("graph", links=[("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")]),
}


@pytest.mark.parametrize(
    ("kind", "sender", "receiver", "reason"),
    [
        ("mesh", "a", "e", ""),
        ("star", "b", "a", ""),
        ("star", "b", "c", "by way of a"),
        ("ring", "a", "e", ""),
        ("ring", "a", "c", "the one before it and the next"),
        ("tree", "d", "b", ""),
        ("tree", "d", "c", "talks to b, to whom it reports"),
        ("tree", "a", "d", "talks to nobody, to whom it reports"),
        ("groups", "b", "c", ""),
        ("groups", "a", "d", ""),
        ("groups", "b", "d", "different groups"),
        ("graph", "a", "b", ""),
        ("graph", "a", "c", "no link joins them"),
        ("star", "b", "z", "z is not in the topology"),
        ("mesh", "z", "a", "z is not in the topology"),
        ("star", "", "b", ""),
        ("star", "b", "b", ""),
    ],
)
def test_who_may_talk_and_why_not(kind: str, sender: str, receiver: str, reason: str) -> None:
    """A message that comes back says what to do about it, and by which version."""
    verdict = View(7, ALL[kind]).may_talk(sender, receiver)

    assert bool(verdict) == (not reason)
    assert reason in verdict.reason
    assert verdict.version == 7
    assert reason == "" or "version 7" in verdict.reason


def test_a_link_that_goes_one_way_goes_one_way() -> None:
    """As in a pipeline."""
    view = View(1, make("graph", links=[("a", "b")], one_way=True))

    assert view.may_talk("a", "b")
    assert "the other way" in view.may_talk("b", "a").reason


def test_without_a_topology_everybody_may_talk() -> None:
    """Nobody has to set one."""
    assert View().may_talk("a", "b")


def test_strangers_may_be_allowed() -> None:
    """For a fleet to which agents come and go."""
    view = View(1, make("star", FIVE, strangers="allow"))

    assert view.may_talk("z", "b")
    assert not view.may_talk("b", "c")


def test_who_reports_to_whom() -> None:
    """Handlers ask for their boss, a boss for who reports to it."""
    tree, ring = View(1, ALL["tree"]), View(1, ALL["ring"])

    assert (tree.boss("d"), tree.boss("a"), tree.reports("b")) == ("b", "", ("d", "e"))
    assert (ring.boss("b"), ring.reports("b")) == ("", ())
    assert View(1, ALL["groups"]).boss("e") == "d"
    assert "a" in tree
    assert "z" not in tree


@pytest.mark.parametrize("kind", ALL)
def test_the_view_agrees_with_the_links(kind: str) -> None:
    """The fast answer is the true one, for every two."""
    topology = ALL[kind]
    linked = {frozenset(pair) for pair in topology.pairs()}
    view = View(1, topology)

    for one in FIVE:
        assert view.peers(one) == {two for two in FIVE if frozenset((one, two)) in linked} - {one}
        for two in FIVE:
            assert bool(view.may_talk(one, two)) == (one == two or frozenset((one, two)) in linked)


@pytest.mark.parametrize(
    ("in_flight", "sent_under", "delivered"),
    [("deliver", 6, True), ("deliver", 7, False), ("return", 6, False), ("return", 7, False)],
)
def test_what_was_under_way_is_delivered_or_returned(
    in_flight: str, sent_under: int, *, delivered: bool
) -> None:
    """Decided when it is taken: by what was allowed when it was sent, or by what is allowed now."""
    view = View(7, make("star", FIVE, in_flight=in_flight))

    verdict = view.at_take("b", "c", sent_under)

    assert bool(verdict) == delivered
    assert delivered or "by way of a" in verdict.reason
    assert view.at_take("b", "a", 7)


# -- what would change -----------------------------------------------------------------------------


def test_a_plan_says_who_gains_and_who_loses() -> None:
    """Before it is done."""
    plan = change(View(3, ALL["star"]), make("ring", ["a", "b", "c", "d", "x"]))

    assert (plan.version, plan.joining, plan.leaving) == (3, ("x",), ("e",))
    assert ("b", "c") in plan.opened_some
    assert ("a", "c") in plan.closed_some
    assert ("b", "a", "") in plan.promoted
    assert plan.problems == ()
    assert not plan.empty
    assert plan.to_json()["opened"] == len(plan.opened_some)


def test_a_plan_for_what_is_set_changes_nothing() -> None:
    """So a program can set the same thing again and again."""
    plan = change(View(3, ALL["tree"]), ALL["tree"])

    assert plan.empty
    assert (plan.opened, plan.closed, plan.promoted) == (0, 0, ())


def test_a_plan_for_what_cannot_be_says_so() -> None:
    """And compares nothing."""
    plan = change(View(3, ALL["tree"]), make("ring", ["a", "b"]))

    assert [one.rule for one in plan.problems] == ["size"]
    assert (plan.opened, plan.closed) == (0, 0)


@given(st.sampled_from([*ALL, ""]), st.sampled_from([*ALL, ""]))
def test_what_a_plan_counts_is_what_views_say(before: str, after: str) -> None:
    """Every pair that may talk before or after is in it, and no other."""
    now, then = View(1, ALL.get(before)), View(2, ALL.get(after))
    if now.topology is None and then.topology is None:
        return

    plan = change(now, then.topology)

    pairs = [(a, b) for a in FIVE for b in FIVE if a != b]
    opened = {pair for pair in pairs if then.may_talk(*pair) and not now.may_talk(*pair)}
    closed = {pair for pair in pairs if now.may_talk(*pair) and not then.may_talk(*pair)}
    assert (set(plan.opened_some), set(plan.closed_some)) == (opened, closed)
    assert (plan.opened, plan.closed) == (len(opened), len(closed))


def test_a_plan_of_many_agents_names_some_links_and_counts_all() -> None:
    """A mesh of 300 has 44,850 links."""
    names = [f"a{n}" for n in range(300)]

    plan = change(View(1, make("star", names)), make("mesh", names))

    assert (plan.opened, len(plan.opened_some)) == (300 * 299 - 2 * 299, 100)


def test_words_say_what_it_is() -> None:
    """In events and lists."""
    said: dict[str, Any] = {kind: one.words() for kind, one in ALL.items()}

    assert said["star"] == "star of 5, around a"
    assert said["groups"] == "mesh of 5 in 2 groups"
    assert said["graph"] == "graph of 5, 4 links"
    assert make("auto", FIVE).words() == "star of 5, around a, adaptive"
