"""An adaptive topology follows its fleet, and does not flap."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.fleet.topology.adapt import STAGES, Adapt, Leaning, lean, stage, weight
from coordq.fleet.topology.check import problems
from coordq.fleet.topology.follow import Memory, follow, places
from coordq.fleet.topology.layout import regrouped
from coordq.fleet.topology.make import make
from coordq.fleet.topology.shape import Topology

SETTINGS = Adapt(settle_s=10)
SECONDS = st.floats(0.5, 30)


@pytest.mark.parametrize(
    ("size", "load", "kind"),
    [
        (1, 0.0, "star"),
        (8, 0.0, "star"),
        (8, 0.5, "star"),
        (8, 0.6, "tree"),
        (9, 0.0, "tree"),
        (40, 0.5, "tree"),
        (40, 1.0, "groups"),
        (41, 0.0, "groups"),
        (5000, 0.0, "groups"),
    ],
)
def test_size_and_load_say_what_a_fleet_should_be(size: int, load: float, kind: str) -> None:
    """From half its slots on load counts as size does."""
    assert stage(SETTINGS, "", weight(SETTINGS, size, load)) == kind


@pytest.mark.parametrize(
    ("kind", "size", "then"),
    [
        ("star", 8, "star"),
        ("star", 9, "tree"),
        ("star", 100, "groups"),
        ("tree", 6, "tree"),
        ("tree", 5, "star"),
        ("groups", 30, "groups"),
        ("groups", 29, "tree"),
        ("groups", 2, "star"),
        ("ring", 9, "tree"),
    ],
)
def test_the_way_down_begins_lower_than_the_way_up(kind: str, size: int, then: str) -> None:
    """A quarter below the bound."""
    assert stage(SETTINGS, kind, size) == then


LOADS = st.floats(0, 1)
LOOKS = st.lists(st.tuples(SECONDS, st.integers(1, 200), LOADS), min_size=1, max_size=60)


@given(LOOKS, st.sampled_from(STAGES))
def test_whatever_a_fleet_does_changes_are_apart(
    looks: list[tuple[float, int, float]], kind: str
) -> None:
    """Between two changes it has settled: there are no more than the time divided by that."""
    now, leaning, changes = 0.0, Leaning(), []
    for pause, size, load in looks:
        now += pause
        then, leaning = lean(SETTINGS, kind, weight(SETTINGS, size, load), leaning, now)
        if then != kind:
            changes.append(now)
            kind = then

    apart = [late - soon for soon, late in pairwise(changes)]
    assert all(each >= SETTINGS.settle_s for each in apart)


@given(st.integers(0, 1), st.lists(st.tuples(SECONDS, st.floats(0, 1)), max_size=60))
def test_a_fleet_that_goes_up_and_down_at_a_bound_changes_once_at_most(
    bound: int, looks: list[tuple[float, float]]
) -> None:
    """Inside the slack below a bound, and even on it, nothing pulls it back."""
    high = (SETTINGS.star_max, SETTINGS.tree_max)[bound]
    low = high * (1 - SETTINGS.slack)
    now, leaning, kind, changes = 0.0, Leaning(), STAGES[bound], 0
    for pause, share in looks:
        now += pause
        heavy = low + share * (high * 1.2 - low)
        then, leaning = lean(SETTINGS, kind, heavy, leaning, now)
        changes += then != kind
        kind = then

    assert changes <= 1


@given(st.floats(0, 300), st.sampled_from([*STAGES, "ring", "mesh"]))
def test_a_fleet_that_stands_still_comes_to_rest(heavy: float, kind: str) -> None:
    """One change, and what it is changed into is what it should be."""
    first, _ = lean(SETTINGS, kind, heavy, Leaning(stage(SETTINGS, kind, heavy), 0), 100)

    assert stage(SETTINGS, first, heavy) == first


def test_a_peak_that_passes_changes_nothing() -> None:
    """It has to last without a break."""
    kind, leaning = lean(SETTINGS, "star", 20, Leaning(), 0)
    assert (kind, leaning) == ("star", Leaning("tree", 0))

    kind, leaning = lean(SETTINGS, "star", 5, leaning, 9)
    kind, leaning = lean(SETTINGS, "star", 20, leaning, 11)
    assert (kind, leaning) == ("star", Leaning("tree", 11))
    assert lean(SETTINGS, "star", 20, leaning, 21) == ("tree", Leaning())


# -- who is a member -------------------------------------------------------------------------------


def auto(*names: str) -> Topology:
    """An adaptive topology."""
    return make("auto", names, adapt=SETTINGS)


def test_who_comes_is_a_member_at_once() -> None:
    """It has work to do."""
    step = follow(auto("a", "b"), {"a", "b", "c"}, 0, Memory(), 0)

    assert step.topology == auto("a", "b", "c")
    assert step.why == "1 came"


def test_who_is_gone_stays_a_member_for_a_while() -> None:
    """A worker that is restarted comes back."""
    first = follow(auto("a", "b", "c"), {"a", "b"}, 0, Memory(), 0)
    assert (first.topology, first.memory.away) == (None, {"c": 0})

    back = follow(auto("a", "b", "c"), {"a", "b", "c"}, 0, first.memory, 9)
    assert (back.topology, back.memory.away) == (None, {})

    late = follow(auto("a", "b", "c"), {"a", "b"}, 0, first.memory, 10)
    assert late.topology == auto("a", "b")
    assert late.why == "1 left"


def test_the_last_members_stay() -> None:
    """When nobody is there it is more likely that we cannot see them."""
    away = Memory(away={"a": 0.0, "b": 0.0})

    assert follow(auto("a", "b"), set(), 0, away, 100).topology is None


def test_a_hub_stays_the_hub_while_it_is_there() -> None:
    """Everybody knows it."""
    now = make("star", ["a", "b", "c"], hub="b", adapt=SETTINGS)

    step = follow(now, {"b", "c", "d"}, 0, Memory(away={"a": 0.0}), 10)

    assert step.topology is not None
    assert (step.topology.hub, step.topology.members) == ("b", ("d", "b", "c"))


def test_a_fleet_grows_from_a_star_to_a_tree_to_groups() -> None:
    """And says why."""
    now, memory = auto("a0"), Memory()
    kinds: list[str] = []
    for size in (1, 5, 9, 9, 30, 60, 60):
        step = follow(now, {f"a{n}" for n in range(size)}, 0, memory, 10.0 * len(kinds))
        now, memory = step.topology or now, step.memory
        kinds.append(now.kind)
        assert problems(now) == ()

    assert kinds == ["star", "star", "star", "tree", "tree", "tree", "groups"]
    assert "better off as" in step.why


def test_places_are_kept() -> None:
    """One who comes takes the place of one who left; else the last does."""
    assert places("abcde", {"b", "d"}, ["x"]) == ["a", "e", "c", "x"]
    assert places("abc", {"c"}, []) == ["a", "b"]
    assert places("abc", set(), ["x", "y"]) == ["a", "b", "c", "x", "y"]


@given(st.lists(st.frozensets(st.sampled_from("abcdefghijklmnop"), min_size=1), min_size=1))
def test_whoever_comes_and_goes_what_follows_is_right(fleets: list[frozenset[str]]) -> None:
    """Every step is a topology of those who are there."""
    settings = Adapt(star_max=3, tree_max=6, settle_s=0, group_size=3, fanout=2)
    now = make("auto", sorted(fleets[0]), adapt=settings)
    memory = Memory()
    for at, fleet in enumerate(fleets):
        step = follow(now, fleet, 0, memory, float(at))
        now, memory = step.topology or now, step.memory

        assert set(now.members) == fleet
        assert problems(now) == ()
        again = follow(now, fleet, 0, memory, float(at))
        assert again.topology is None, "at rest it changes nothing"


def test_groups_change_as_little_as_can_be() -> None:
    """Those who stay know each other."""
    before = [("a", "b", "c"), ("d", "e", "f")]

    assert regrouped(before, "abcdefg", 4) == (("a", "b", "c", "g"), ("d", "e", "f"))
    assert regrouped(before, "abcdf", 4) == (("a", "b", "c"), ("d", "f"))
    assert regrouped([("a",), ("b",), ("c",)], "abc", 3) == (("a", "b", "c"),)
