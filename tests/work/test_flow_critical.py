"""When a flow will have ended: what is on the way to the end, and what only runs beside it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.work.flow.build import Flow
from coordq.work.flow.critical import Forecast, foresee, read_pace
from coordq.work.flow.graph import Box, Graph, Line, graph_of_plan

PACE = {"fetch": 100.0, "parse": 50.0, "slow": 400.0, "sum": 10.0}


def diamond() -> Graph:
    """A fast way and a slow one."""
    flow = Flow("f")
    first = flow.task("fetch")
    flow.task("parse", after=first)
    flow.task("slow", after=first)
    flow.join("sum", [flow["parse"], flow["slow"]])
    return graph_of_plan(flow.plan())


def standing(graph: Graph, **states: str) -> Graph:
    """The graph with tasks in these states, by key; all others wait."""
    boxes = (replace(box, state=states.get(box.key, "waiting")) for box in graph.boxes)
    return replace(graph, boxes=tuple(boxes))


def test_the_critical_path_is_the_longest_way() -> None:
    """What is not on it has slack: so much later it may end without anybody noticing."""
    forecast = foresee(diamond(), PACE)

    assert forecast.path == ("fetch", "slow", "sum")
    assert forecast.finish_ms == 510
    assert {key: one.slack_ms for key, one in forecast.timings.items()} == {
        "fetch": 0,
        "parse": 350,
        "slow": 0,
        "sum": 0,
    }
    assert forecast.timings["parse"].start_ms == 100
    assert forecast.expected["sum"] == 510


def test_what_has_ended_is_behind_us_and_what_runs_is_counted_from_its_start() -> None:
    """`slow` has run for 100 ms of its 400."""
    graph = standing(diamond(), fetch="succeeded", parse="succeeded", slow="running")
    ids = {box.key: box.id for box in graph.boxes}
    forecast = foresee(graph, PACE, now_ms=1000, since_ms={ids["slow"]: 900})

    assert forecast.path == ("slow", "sum")
    assert forecast.finish_ms == 1000 + 300 + 10
    assert forecast.timings.keys() == {"slow", "sum"}


def test_a_task_that_takes_longer_than_ever_is_expected_at_once() -> None:
    """Its time is up; an end in the past would be nonsense."""
    graph = standing(diamond(), fetch="succeeded", parse="succeeded", slow="running")
    ids = {box.key: box.id for box in graph.boxes}

    assert foresee(graph, PACE, now_ms=5000, since_ms={ids["slow"]: 0}).finish_ms == 5010


def test_bottlenecks_are_what_the_rest_waits_for() -> None:
    """By name, the longest first, with how much comes after them."""
    first, second, *_ = foresee(diamond(), PACE).bottlenecks

    assert (first.name, first.keys, first.holds_ms, first.waiting) == ("slow", ("slow",), 400, 1)
    assert (second.name, second.holds_ms, second.waiting) == ("fetch", 100, 3)


def test_a_name_that_was_never_seen_takes_the_average() -> None:
    """And the forecast says whom it guessed; when it knows nobody, it says nothing."""
    graph = diamond()

    assert foresee(graph, {"fetch": 100.0, "sum": 300.0}).guessed == ("parse", "slow")
    assert foresee(graph, {"fetch": 100.0, "sum": 300.0}).finish_ms == 100 + 200 + 300
    assert foresee(graph, {}).finish_ms is None
    assert foresee(graph, {}).expected == {}
    assert foresee(graph, {}, given_ms=dict.fromkeys(PACE, 1.0)).finish_ms == 3


def test_a_person_takes_as_long_as_a_person_takes() -> None:
    """The path is known, its end is not."""
    flow = Flow("f")
    flow.chain("fetch", flow.approval("ok"), "parse")
    forecast = foresee(graph_of_plan(flow.plan()), PACE)

    assert (forecast.finish_ms, forecast.waits) == (None, ("ok",))
    assert forecast.path == ("fetch", "ok", "parse")


def test_failures_are_not_expected_until_they_happen() -> None:
    """Neither is what stands ready for them: alternatives and tasks after a failure."""
    flow = Flow("f")
    first = flow.task("fetch", fallback="slow")
    flow.task("parse", after=first)
    flow.task("sum", after=first, on="failure")
    graph = graph_of_plan(flow.plan())

    assert foresee(graph, PACE).timings.keys() == {"fetch", "parse"}
    failed = standing(graph, fetch="failed", **{"fetch.fallback": "ready", "parse": "waiting"})
    assert foresee(failed, PACE).path[0] == "fetch.fallback"


def test_nothing_more_is_expected_of_a_flow_that_has_ended() -> None:
    """It ends now, at the latest."""
    graph = standing(diamond(), **dict.fromkeys(PACE, "succeeded"))
    forecast = foresee(graph, PACE, now_ms=7)

    assert forecast == Forecast(7, (), {}, (), (), ())


def test_a_forecast_is_plain_json_as_well() -> None:
    """For `--json` and the dashboard."""
    told = foresee(diamond(), PACE).to_json()

    assert told["finish_ms"] == 510
    assert told["timings"][0] == {
        "key": "fetch",
        "name": "fetch",
        "duration_ms": 100,
        "start_ms": 0,
        "finish_ms": 100,
        "slack_ms": 0,
        "critical": True,
    }
    assert told["bottlenecks"][0]["name"] == "slow"


@pytest.mark.parametrize(
    ("fields", "pace"),
    [
        ({}, {}),
        ({b"a:n": b"4", b"a:ms": b"200"}, {"a": 50.0}),
        ({b"a:b:n": b"1", b"a:b:ms": b"3"}, {"a:b": 3.0}),
        ({b"a:n": b"0", b"a:ms": b"0", b"b:n": b"1"}, {}),
        ({b"a:n": b"x", b"a:ms": b"1", b"\xff": b""}, {}),
        ({b"a:n": b"1", b"a:ms": b"-1"}, {}),
    ],
)
def test_the_pace_of_earlier_flows_is_an_average(
    fields: dict[bytes, bytes], pace: dict[str, float]
) -> None:
    """What somebody else wrote there is left out, not stumbled over."""
    assert read_pace(fields) == pace


WEIGHED = st.lists(st.integers(0, 100), min_size=1, max_size=10).flatmap(
    lambda weights: st.lists(
        st.tuples(st.integers(0, len(weights) - 1), st.integers(0, len(weights) - 1)), max_size=20
    ).map(lambda pairs: (weights, sorted({(a, b) for a, b in pairs if a < b})))
)


@given(WEIGHED)
def test_the_path_is_as_long_as_the_flow(drawn: tuple[list[int], list[tuple[int, int]]]) -> None:
    """In any graph: its tasks follow each other by edges, have no slack, and add up to the end."""
    weights, pairs = drawn
    boxes = tuple(Box(f"i{at}", str(at), f"t{at}") for at in range(len(weights)))
    graph = Graph("f", boxes, tuple(Line(f"i{a}", f"i{b}") for a, b in pairs))
    pace = {f"t{at}": float(weight) for at, weight in enumerate(weights)}
    forecast = foresee(graph, pace)
    path = [int(key) for key in forecast.path]

    assert forecast.finish_ms == sum(weights[at] for at in path)
    assert all(pair in pairs for pair in pairwise(path))
    assert all(forecast.timings[key].critical for key in forecast.path)
    assert min(timing.slack_ms for timing in forecast.timings.values()) >= 0
