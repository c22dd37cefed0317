"""The schedule of faults follows from its seed alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordq.errors import InvalidOption
from coordq.interfaces.chaos.plan import KINDS, Cast, Kind, schedule
from coordq.interfaces.chaos.settings import ChaosSettings


def test_the_same_seed_plans_the_same_faults() -> None:
    """A run that found something can be repeated, fault by fault."""
    first, second, other = (schedule(seed, 80, duration_s=100, cast=Cast()) for seed in (7, 7, 8))

    assert first == second
    assert first != other


@pytest.mark.parametrize("engine", ["single", "sentinel"])
def test_every_kind_comes_before_any_comes_twice(engine: str) -> None:
    """A short run is a wide one: no kind is missing by bad luck."""
    cast = Cast(engine=engine)
    kinds = {kind.name for kind in cast.kinds()}

    plan = schedule(3, len(kinds), duration_s=60, cast=cast)

    assert {fault.kind for fault in plan} == kinds
    assert len(kinds) >= 12


def test_nobody_suffers_two_faults_at_a_time() -> None:
    """One fault is undone before the next begins, or undoing would mean nothing."""
    for seed in range(20):
        free_at: dict[str, float] = {}
        for fault in schedule(seed, 100, duration_s=120, cast=Cast()):
            assert fault.at_s >= free_at.get(fault.target, 0.0), fault
            free_at[fault.target] = fault.at_s + fault.hold_s


def test_faults_are_spread_over_the_whole_run() -> None:
    """Each quarter gets about as many, so that no part of a long run is quiet."""
    plan = schedule(5, 400, duration_s=800, cast=Cast())

    quarters = [sum(at <= fault.at_s < at + 200 for fault in plan) for at in range(0, 800, 200)]
    assert min(quarters) > 80


def test_a_stage_without_supervisors_plans_none_of_their_faults() -> None:
    """What is not there cannot be broken."""
    plan = schedule(1, 200, duration_s=200, cast=Cast(supervisors=0))

    assert not [fault for fault in plan if "supervisor" in fault.target or "leader" in fault.kind]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.name))
def test_every_kind_is_documented(kind: Kind) -> None:
    """Names are short; a reader of the table wants a word more."""
    assert f"`{kind.name}`" in Path(__file__).with_name("README.md").read_text()
    assert kind.says


@pytest.mark.parametrize(
    "wrong",
    [
        {"tasks": 0},
        {"faults": -1},
        {"engine": "cluster"},
        {"workers": 0},
        {"lease_s": 0.1},
        {"only": ("kill-everything",)},
        {"bug": "no-such"},
        {"duration_s": -1},
        {"flows": 1.0},
        {"messages": -1},
    ],
)
def test_a_run_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    """Before anything is started."""
    with pytest.raises(InvalidOption):
        ChaosSettings(**wrong).check()  # type: ignore[arg-type]


def test_kinds_that_the_stage_cannot_make_are_refused() -> None:
    """A failover needs a replica; a run without any fault would prove nothing."""
    with pytest.raises(InvalidOption):
        ChaosSettings(only=("redis-failover",)).schedule()
