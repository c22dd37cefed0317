"""The rule about flows, on flows that keep their shape and on such that lose it.

What each task did may be right by itself, and the flow wrong: a parent unseen, an end too early.
"""

from __future__ import annotations

import pytest

from coordq.interfaces.chaos.checker import Verdict, check
from coordq.interfaces.chaos.flows import ENDED
from coordq.interfaces.chaos.history import Ack, FlowTold, Rest
from tests.chaos.scribe import START_MS, A, Scribe, Tale, rules

FLOW = f"{A[:20]}vv"
IDS = {key: f"{A[:20]}{number:02}" for number, key in enumerate(ENDED)}


def asked(told: Scribe, *, acked: bool = True) -> FlowTold:
    """A producer has submitted it."""
    flow = told.history.flows[FLOW] = FlowTold(IDS, asked_ms=START_MS, acked=acked)
    told.history.wished |= dict.fromkeys(IDS.values(), "-")
    if acked:
        ack = Ack("member", START_MS, START_MS + 1)
        told.history.acked |= dict.fromkeys(IDS.values(), ack)
    return flow


def flow(
    told: Scribe, *, hasty: str = "", seen: str = "[10, 11, 9]", state: str = "succeeded"
) -> None:
    """A whole one, in which `hasty` runs first of all."""
    asked(told)
    told.event(FLOW, "flow-started", 1, detail=str(len(IDS)), queue="-")
    first = [hasty] if hasty else []
    for fence, key in enumerate([*first, *(one for one in ENDED if one not in first)], 10):
        told.event(IDS[key], "waiting", 1)
        if ENDED[key] == "skipped":
            told.event(IDS[key], "skipped", 2)
            continue
        told.event(IDS[key], "unblocked", 2)
        told.event(IDS[key], "running", 3, fence)
        told.run(IDS[key], fence)
        told.event(IDS[key], ENDED[key], 4, fence, detail="exception")
        told.history.seen[IDS[key], fence] = seen
    told.event(FLOW, "flow-ended", 1, detail=state, queue="-")


def ended_twice(told: Scribe) -> None:
    flow(told)
    told.event(FLOW, "flow-ended", 1, detail="succeeded", queue="-")


def left_behind(told: Scribe) -> None:
    flow(told)
    told.history.rest = Rest(flows=[FLOW])


def never_heard_of(told: Scribe) -> None:
    """Its producer asks until it hears, and so does that producer's next life."""
    flow(told)
    told.history.flows[FLOW].acked = False


def ran_what_is_skipped(told: Scribe) -> None:
    flow(told)
    skipped = next(event for event in told.history.events[0] if event.kind == "skipped")
    told.history.events[0].remove(skipped)
    told.event(IDS["low"], "unblocked", 2)
    told.succeed(IDS["low"], 99, version=3)


def given_up(told: Scribe, reason: str) -> None:
    """The last of a flow fails in the end, and the flow with it."""
    flow(told, state="failed")
    last = next(event for event in told.history.events[0] if event.subject == IDS["last"])
    told.history.events[0] = [
        event for event in told.history.events[0] if event.subject != last.subject
    ]
    told.event(last.subject, "waiting", 1)
    told.event(last.subject, "unblocked", 2)
    told.event(last.subject, "failed", 3, 0, detail=reason)


def test_a_task_that_three_workers_died_of_changes_a_flow_rightly() -> None:
    """That is promised; to fail for another reason, where all should succeed, is not."""
    assert "flow" not in rules(lambda told: given_up(told, "poison"))
    assert "flow" in rules(lambda told: given_up(told, "exception"))


def test_a_flow_that_kept_its_shape_is_not_complained_of() -> None:
    """The alternative's result stands where the first one's would have."""
    assert rules(flow) == set()


@pytest.mark.parametrize(
    "tell",
    [
        lambda told: flow(told, hasty="join"),
        lambda told: flow(told, seen="[10, 11]"),
        lambda told: flow(told, state="failed"),
        ended_twice,
        left_behind,
        never_heard_of,
        ran_what_is_skipped,
    ],
    ids=[
        "a join before its parents",
        "a parent unseen",
        "failed",
        "ended twice",
        "left behind",
        "never heard of",
        "a branch that was not taken",
    ],
)
def test_a_flow_that_lost_its_shape_is_named(tell: Tale) -> None:
    """By what it should have been."""
    assert rules(tell) == {"flow"}


# -- failovers -------------------------------------------------------------------------------------


def submitted_only(told: Scribe) -> None:
    """Its tasks are there and wait; its launch is not, though it was acknowledged."""
    asked(told)
    for task_id in IDS.values():
        told.event(task_id, "waiting", 1)
    told.history.rest = Rest(open=dict.fromkeys(IDS.values(), "waiting"), flows=[FLOW])


def judged(tell: Tale, *, window: tuple[int, int] | None = None, durable: bool = False) -> Verdict:
    """What is said of it when a failover took back the writes of a window."""
    told = Scribe()
    tell(told)
    told.history.durable = durable
    if window is not None:
        told.history.rewound[0] = [window]
    return check(told.history)


def test_a_launch_that_a_failover_took_back_is_excused_and_counted() -> None:
    """The flow was acknowledged, and waits for ever: that is what was lost, and no more."""
    verdict = judged(submitted_only, window=(START_MS - 5, START_MS + 5))

    assert verdict.violations == ()
    assert {one.subject for one in verdict.excused} == {FLOW, *IDS.values()}


@pytest.mark.parametrize(
    ("window", "durable"),
    [(None, False), ((START_MS - 60_000, START_MS - 50_000), False), ((START_MS, START_MS), True)],
    ids=["no failover", "an earlier failover", "it was on a replica"],
)
def test_a_flow_that_waits_for_ever_is_named(
    window: tuple[int, int] | None,
    durable: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """A failover explains its own moments only, and nothing that a replica had."""
    verdict = judged(submitted_only, window=window, durable=durable)

    assert {"stuck", "flow"} <= {one.rule for one in verdict.violations}
    assert verdict.excused == ()


def test_a_flow_that_a_failover_shook_may_end_otherwise() -> None:
    """A handler waited for tasks that it had added, and that are no longer there."""
    shaken = (START_MS + 10, START_MS + 12)
    tale = lambda told: flow(told, state="failed")  # noqa: E731 - a tale with an argument

    assert judged(tale, window=shaken).violations == ()
    assert {one.rule for one in judged(tale).violations} == {"flow"}
