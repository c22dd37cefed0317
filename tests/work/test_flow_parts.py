"""What a flow has besides its tasks: waits, callbacks, milestones, other flows, a face."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from coordq.work.flow.build import Flow
from tests.work.planned import edges, inputs


def test_waits_are_nodes_without_a_handler() -> None:
    """What each waits for is in the plan."""
    flow = Flow("f")
    flow.approval("ok", message="Ship it?", timeout=60)
    flow.signal("deploy", after=flow["ok"])
    flow.timer(timedelta(minutes=5), after=flow["deploy"])
    ok, deploy, timer = flow.plan().nodes

    assert [(one.kind, one.template.spec.name) for one in (ok, deploy, timer)] == [
        ("approval", "coordq.approval"),
        ("signal", "coordq.signal"),
        ("timer", "coordq.timer"),
    ]
    assert json.loads(ok.args) == {"message": "Ship it?"}
    assert ok.template.spec.timeout_ms == 60_000
    assert (deploy.signal, timer.delay_ms) == ("deploy", 300_000)


def test_callbacks_come_after_every_end() -> None:
    """Wherever they are said; a failure that was only heard of is not mended."""
    flow = Flow("f")
    flow.on_failure("page")
    flow.on_success("cheer")
    first = flow.task("a")
    flow.task("b", after=first, if_failed="skip")
    flow.task("c", fallback="d")

    assert edges(flow.plan()) == {
        ("a", "b", "success", "skip", None),
        ("b", "page", "failure", "ignore", None),
        ("c", "page", "failure", "ignore", None),
        ("a", "page", "failure", "ignore", None),
        ("b", "cheer", "success", "skip", None),
        ("c", "cheer", "success", "skip", None),
    }


def test_callbacks_are_no_results_of_the_flow() -> None:
    """They are named in the plan, so that whoever looks knows what came after everything."""
    flow = Flow("f")
    flow.on_success("cheer", key="hooray")
    flow.task("a")

    assert flow.plan().about == {"callbacks": ["hooray"]}


def test_a_milestone_is_about_keys() -> None:
    """They are what people know; the date is kept in milliseconds."""
    flow = Flow("f", description="d", labels={"team": "x"}, ttl=timedelta(hours=2))
    flow.milestone("half", needs=flow.group("a", "b"), by=datetime(2026, 1, 1, tzinfo=UTC))
    flow.milestone("all", needs=[flow.task("c")])
    plan = flow.plan()

    assert plan.ttl_s == 7200
    assert plan.about == {
        "description": "d",
        "labels": {"team": "x"},
        "milestones": [
            {"name": "half", "needs": ["a", "b"], "by": 1_767_225_600_000},
            {"name": "all", "needs": ["c"]},
        ],
    }


def test_another_flow_becomes_part_of_this_one() -> None:
    """As often as wanted, and without being changed itself."""
    sub = Flow("sub")
    files = sub.task("list")
    checked = sub.map("check", files["names"], into="file", fallback=())
    sub.task("report", {"found": checked, "first": files}, fallback="excuse", key="end")
    flow = Flow("f")
    start = flow.task("start")
    once = flow.include(sub, after=start)
    twice = flow.include(sub, key="again", after=once["end"])
    flow.task("done", {"a": once["end"], "b": twice["end"]})
    plan = flow.plan()

    assert {step.key for step in sub} == {"list", "check", "end", "end.fallback"}
    assert ("start", "sub.list", "success", "fail", None) in edges(plan)
    assert ("sub.end", "again.list", "success", "fail", None) in edges(plan)
    assert inputs(plan, "again.end") == {"found": "again.check*", "first": "again.list"}
    assert inputs(plan, "done") == {"a": "sub.end", "b": "again.end"}
    assert len(plan.nodes) == 10
    assert len(sub.plan().nodes) == 4


def test_a_part_comes_after_others_as_a_step_does() -> None:
    """After which end, and under which condition: for all of it that comes after nothing else."""
    sub = Flow("sub")
    sub.chain("a", "b")
    flow = Flow("f")
    start, other = flow.task("start"), flow.task("other")
    flow.include(sub, after=[start.link(when="x > 1", if_failed="skip"), other.link(on="always")])

    assert edges(flow.plan()) == {
        ("start", "sub.a", "success", "skip", "x > 1"),
        ("other", "sub.a", "always", "fail", None),
        ("sub.a", "sub.b", "success", "fail", None),
    }


def test_flows_and_steps_say_what_they_are() -> None:
    """In a debugger and in a message."""
    flow = Flow("f")
    step = flow.task("a", key="x")

    assert (repr(flow), repr(step)) == ("<Flow f: 1 step>", "<Step x (a) of flow f>")
    assert repr(flow.group(step)) == "<Group of 1 in flow f>"
    assert repr(flow.map("b", step)) == "<Group over b in flow f>"
