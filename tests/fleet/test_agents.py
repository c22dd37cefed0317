"""What agents have done, from what workers of any version say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.fleet.agents import AgentSummary, summarize
from coordq.fleet.rates import Meter


def done(succeeded: int = 0, failed: int = 0, worked_ms: int = 0, running: int = 0) -> Any:
    """What a worker says of one agent."""
    return {"succeeded": succeeded, "failed": failed, "worked_ms": worked_ms, "running": running}


def info(*agents: tuple[str, str], **facts: Any) -> dict[str, Any]:
    """What a worker says that has these agents, each with its role."""
    return {"started_ms": 1, "agents": [{"name": n, "role": r} for n, r in agents], **facts}


def by_name(*infos: dict[str, Any], rates: Any = None) -> dict[str, AgentSummary]:
    """The summaries of a fleet."""
    return {one.name: one for one in summarize(infos, rates)}


def test_an_agent_is_one_on_all_its_workers() -> None:
    """Who runs on ten machines has one success rate; the mean is that of runs, not of workers."""
    seen = by_name(
        info(("ada", "critic"), by_agent={"ada": done(3, 1, 400, 2)}),
        info(("ada", "critic"), ("bob", ""), by_agent={"ada": done(96, 0, 9600), "bob": done(1)}),
    )

    ada = seen["ada"]
    assert (ada.roles, ada.workers, ada.uncounted, ada.running) == (("critic",), 2, 0, 2)
    assert (ada.succeeded, ada.failed, ada.success_percent, ada.mean_ms) == (99, 1, 99.0, 100.0)
    assert (seen["bob"].workers, seen["bob"].roles, seen["bob"].mean_ms) == (1, (), 0.0)


def test_who_has_done_nothing_is_there_without_a_rate() -> None:
    """No run is not a hundred percent, and not none."""
    idle = by_name(info(("ada", "critic"), by_agent={}))["ada"]

    assert (idle.workers, idle.uncounted, idle.succeeded) == (1, 0, 0)
    assert (idle.success_percent, idle.mean_ms) == (None, None)


def test_a_worker_that_counts_all_together_is_read_as_far_as_it_goes() -> None:
    """Of version 0.1: with one agent its sums are that agent's, with two they are nobody's."""
    old: dict[str, Any] = {"succeeded": 8, "failed": 2, "worked_ms": 1000, "running": 1}
    seen = by_name(
        info(("ada", "critic"), **old),
        info(("ada", "critic"), ("bob", "writer"), **old),
        info(("ada", "critic"), by_agent={"ada": done(10, 0, 1000)}),
    )

    assert (seen["ada"].workers, seen["ada"].uncounted) == (3, 1)
    assert (seen["ada"].succeeded, seen["ada"].running, seen["ada"].mean_ms) == (18, 1, 100.0)
    assert (seen["bob"].workers, seen["bob"].uncounted, seen["bob"].succeeded) == (1, 1, 0)


def test_roles_that_differ_are_all_named() -> None:
    """While a fleet is renewed an agent may have two."""
    seen = by_name(info(("ada", "writer"), by_agent={}), info(("ada", "critic"), by_agent={}))

    assert seen["ada"].roles == ("critic", "writer")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["ada", "name", "role", "succeeded"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.lists(st.fixed_dictionaries({}, optional={"agents": JUNK, "by_agent": JUNK}), max_size=3),
    st.fixed_dictionaries({}, optional={"agents": JUNK}),
)
def test_strangers_break_nothing(infos: list[dict[str, Any]], rates: dict[str, Any]) -> None:
    """Anybody may write into Redis; a look at agents, and the leader, go on."""
    meter = Meter()
    for at in (0.0, 5.0):
        meter.look(at, {}, dict(zip("abc", infos, strict=False)))

    for one in summarize(infos, rates):
        assert one.workers >= max(1, one.uncounted)
        assert min(one.succeeded, one.failed, one.running, one.worked_ms) >= 0


def test_the_last_minute_is_measured_for_each_agent() -> None:
    """By the leader, over all workers: what was done before it looked is not new."""
    meter = Meter()
    before = {
        "w1": info(("ada", ""), by_agent={"ada": done(1000, 0, 10**6)}),
        "w2": info(("ada", ""), ("bob", ""), by_agent={}),
    }
    meter.look(0, {}, before)

    facts = meter.look(
        5,
        {},
        {
            "w1": info(("ada", ""), by_agent={"ada": done(1020, 5, 10**6 + 500)}),
            "w2": info(("ada", ""), ("bob", ""), by_agent={"ada": done(25, 0, 500)}),
            "w3": info(("ada", ""), by_agent={"ada": done(7000)}),
        },
    )

    assert facts["agents"]["ada"] == {"ended_s": 10.0, "success_percent": 90.0, "mean_ms": 20.0}
    assert facts["agents"]["bob"] == {"ended_s": 0.0, "success_percent": None, "mean_ms": None}
    recent = by_name(*before.values(), rates=facts)["ada"].recent
    assert recent is not None
    assert (recent.ended_s, recent.success_percent, recent.mean_ms) == (10.0, 90.0, 20.0)


@pytest.mark.parametrize("now", [done(3, 0, 30), done()])
def test_a_worker_that_was_started_anew_counts_from_nothing(now: Any) -> None:
    """Under the same name; and counters that fall are no rate below nothing."""
    meter = Meter()
    meter.look(0, {}, {"w": info(by_agent={"ada": done(100, 5, 900)})})

    anew = meter.look(5, {}, {"w": info(by_agent={"ada": now}) | {"started_ms": 2}})
    fallen = meter.look(10, {}, {"w": info(by_agent={"ada": done()}) | {"started_ms": 2}})

    assert anew["agents"]["ada"]["ended_s"] == now["succeeded"] / 5
    assert fallen["agents"]["ada"]["ended_s"] >= 0
