"""Flows as people build them, run by a real worker: each comes out as its builder said."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from coordq.client.client import Client
from coordq.errors import FlowFailed
from coordq.work.flow.build import Flow
from coordq.work.flow.view import FlowView
from tests.runtime.conftest import NewFleet

pytestmark = pytest.mark.live

AGENT = """
    from typing import Any
    import asyncio
    from coordq import Agent, Context, Reject

    agent = Agent("builder")

    @agent.task
    async def give(value: Any = None) -> Any:
        return value

    @agent.task
    async def linger(ctx: Context, value: Any = None) -> Any:
        while not (await ctx.client.flows.get(ctx.flow_id)).node("end").ended:
            await asyncio.sleep(0.02)
        return value

    @agent.task
    async def fail(value: Any = None) -> None:
        raise Reject(f"no to {value}")

    @agent.task
    async def odd(value: int) -> int:
        if value % 2 == 0:
            raise Reject("even")
        return value
"""


def policies(flow: Flow) -> None:
    """One failure, seen in every way."""
    bad = flow.task("fail", {"value": 1}, key="bad")
    flow.task("give", after=bad, if_failed="skip", key="skipped")
    flow.task("give", {"value": bad}, if_failed="continue", key="went_on")
    flow.task("give", {"value": bad.error["message"]}, key="told")
    flow.task("give", {"value": bad.or_none}, key="always")


def unmet(flow: Flow) -> None:
    """A failure that somebody dealt with, and that somebody else could not do without."""
    bad = flow.task("fail", key="bad")
    flow.task("give", {"value": bad.error["type"]}, key="told")
    flow.task("give", after=bad, key="ended")
    flow.task("give", after=flow["ended"], key="ended_too")


def parting(flow: Flow) -> None:
    """A branch, and what comes together after it."""
    assessed = flow.task("give", {"value": {"score": 0.5, "tags": ["x"]}}, key="assessed")
    ways = flow.branch(
        assessed,
        ("score > 0.8", ("give", {"value": "fast"}, {"key": "fast"})),
        ("'x' in tags", ("give", {"value": "tagged"}, {"key": "tagged"})),
        otherwise=("give", {"value": "slow"}, {"key": "slow"}),
    )
    flow.task("give", {"value": ways[0] | ways[1] | ways[2]}, key="end")
    flow.task("give", after=ways[0], key="after_fast")


def mapped(flow: Flow) -> None:
    """A map over a result, of which some members fail."""
    numbers = flow.task("give", {"value": {"all": [1, 2, 3, 4]}}, key="numbers")
    found = flow.map("odd", numbers["all"], into="value", max_attempts=1)
    found.reduce("give", into="value", if_failed="continue", key="all")
    found.reduce("give", into="value", need=2, key="some")
    found.reduce("give", into="value", need=3, key="too_few")


def unmappable(flow: Flow) -> None:
    """A map over what is no list."""
    found = flow.map("odd", flow.task("give", {"value": 7}, key="seven"), into="value")
    found.reduce("give", into="value", key="sum")


def emptily(flow: Flow) -> None:
    """A map over nothing."""
    found = flow.map("odd", flow.task("give", {"value": []}, key="none"), into="value")
    found.reduce("give", into="value", key="sum")


def rescued(flow: Flow) -> None:
    """A chain of fallbacks, the last of which helps; its result is whose place it took."""
    saved = flow.task(
        "fail",
        {"value": 1},
        key="first",
        fallback=["fail", ("give", {"value": Flow.ERROR}, {"key": "last"})],
    )
    flow.task("give", {"value": saved["message"]}, key="end")
    spared = flow.task("give", {"value": 1}, key="fine", fallback=("give", {}, {"key": "spare"}))
    flow.task("give", {"value": [spared, saved["type"]]}, key="both")


def hurried(flow: Flow) -> None:
    """The first of two counts; the other one comes, and nobody waits for it."""
    slow = flow.task("linger", {"value": 2}, key="slow")
    quick = flow.task("give", {"value": 1}, key="quick")
    flow.join("give", [quick, slow], into="value", first=1, key="first")
    flow.task("give", {"value": flow["first"]}, key="end")


def included(flow: Flow) -> None:
    """One flow twice in another."""
    sub = Flow("sub")
    sub.chain(("give", {"value": 1}), ("give", None, {"key": "end"}), into="value")
    once = flow.include(sub, after=flow.timer(0.05))
    flow.include(sub, key="again", after=once["end"])


def heard(flow: Flow) -> None:
    """Callbacks of a flow that fails."""
    flow.task("fail", key="bad")
    flow.task("give", after=flow["bad"], key="after")
    flow.on_failure("give", {"value": flow["bad"].error["type"]}, key="page")
    flow.on_success("give", key="cheer")


FLOWS: dict[Callable[[Flow], None], tuple[str, dict[str, str], dict[str, Any]]] = {
    policies: (
        "succeeded",
        {
            "bad": "failed",
            "skipped": "skipped",
            "went_on": "succeeded",
            "told": "succeeded",
            "always": "succeeded",
        },
        {"went_on": None, "told": "no to 1", "always": None},
    ),
    unmet: (
        "failed",
        {"told": "succeeded", "ended": "cancelled", "ended_too": "cancelled"},
        {"told": "Reject"},
    ),
    parting: (
        "succeeded",
        {
            "fast": "skipped",
            "tagged": "succeeded",
            "slow": "skipped",
            "end": "succeeded",
            "after_fast": "skipped",
        },
        {"end": "tagged"},
    ),
    mapped: (
        "failed",
        {"odd.0": "succeeded", "odd.1": "failed", "all": "succeeded", "too_few": "cancelled"},
        {"all": [1, None, 3, None], "some": [1, None, 3, None]},
    ),
    unmappable: ("failed", {"odd": "failed", "sum": "cancelled"}, {}),
    emptily: ("succeeded", {"odd": "succeeded", "sum": "succeeded"}, {"sum": []}),
    rescued: (
        "succeeded",
        {"first": "failed", "first.fallback": "failed", "last": "succeeded", "spare": "skipped"},
        {"end": "no to 1", "both": [1, "Reject"]},
    ),
    hurried: ("succeeded", {"slow": "succeeded"}, {"first": [1, None], "end": [1, None]}),
    included: ("succeeded", {}, {"sub.end": 1, "again.end": 1, "again.give": 1}),
    heard: (
        "failed",
        {"bad": "failed", "after": "cancelled", "page": "succeeded", "cheer": "skipped"},
        {"page": "Reject"},
    ),
}


def ended(client: Client, flow_id: str) -> FlowView:
    """The flow, when it has ended one way or another."""
    with suppress(FlowFailed):
        client.flows.result(flow_id, timeout=60)
    return client.flows.get(flow_id)


def test_every_flow_comes_out_as_it_was_said(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """All at once, so that they also stay out of each other's way."""
    file = tmp_path / "builder.py"
    file.write_text(textwrap.dedent(AGENT))
    new_fleet(targets=(str(file),))
    handles = {}
    for build in FLOWS:
        flow = Flow(build.__name__)
        build(flow)
        handles[build] = client.flows.run(flow)

    views = {build: ended(client, handle.id) for build, handle in handles.items()}

    for build, (state, states, results) in FLOWS.items():
        nodes = {node.key: node for node in views[build].nodes}
        told = {key: client.work.get(nodes[key].id).result for key in results}
        assert {key: nodes[key].state for key in states} == states, build
        assert (views[build].state, told) == (state, results), build
        assert views[build].left == 0
