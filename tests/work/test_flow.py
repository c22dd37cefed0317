"""A flow's tasks run in the order of its edges, and its account says how it stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coordq.work.flow import calls
from tests.work.desk import Desk
from tests.work.flows import Flows, after, node, plan


@pytest.fixture
def flows(desk: Desk) -> Flows:
    """The flows of this test's shard."""
    return Flows(desk)


def test_a_chain_runs_in_order(flows: Flows) -> None:
    """Each is claimed once the one before it has ended."""
    first = node("first")
    second = node("second", first)
    third = node("third", second)
    made = flows.start(first, second, third)

    flows.end("first")
    assert flows.states(first, second, third) == ["succeeded", "ready", "waiting"]
    flows.end("second")
    flows.end("third")

    assert flows.outcome(made) == "succeeded"


def test_a_join_waits_for_all_its_parents(flows: Flows) -> None:
    """However many there are, the last one releases it."""
    parents = [node(f"p{n}") for n in range(20)]
    join = node("join", *parents)
    made = flows.start(*parents, join)
    held = flows.take()

    for n in range(19):
        flows.finish(held[f"p{n}"])
    assert flows.state(join) == "waiting"
    flows.finish(held["p19"])

    assert flows.state(join) == "ready"
    flows.end("join")
    assert flows.outcome(made) == "succeeded"


def test_a_wide_fan_out_is_fired_page_by_page(flows: Flows) -> None:
    """More children than a call may release: the rest follows at the next claim."""
    root = node("root")
    children = [node(f"c{n}", root) for n in range(1200)]
    made = flows.start(root, *children)

    flows.end("root")
    keys: set[str] = set()
    while held := flows.take():
        keys |= set(held)
        for claim in held.values():
            flows.finish(claim)

    assert keys == {f"c{n}" for n in range(1200)}
    assert flows.outcome(made) == "succeeded"
    assert flows.desk.redis("HLEN", flows.desk.key("rippling")) == 0


def test_nothing_starts_before_the_launch(flows: Flows) -> None:
    """A flow that is still being built waits."""
    first = node("first")
    made = plan(first)
    flows.submit(made)

    assert flows.take() == {}
    flows.run(calls.launch(made))
    assert list(flows.take()) == ["first"]


def test_an_alternative_has_the_children_of_the_task_whose_place_it_takes(flows: Flows) -> None:
    """They wait for the last of the chain, and its result is what they count."""
    third = node("third", is_alternative=True)
    second = replace(node("second", is_alternative=True), fallback=third.id)
    first = replace(node("first"), fallback=second.id)
    child = node("child", after(first, when="score > 1"))
    many = [node(f"c{n}", first) for n in range(9)]
    made = flows.start(first, second, third, child, *many)

    flows.end("first", how="failed")
    assert flows.states(second, third, child) == ["ready", "waiting", "waiting"]
    flows.end("second", how="failed")
    flows.end("third", result={"score": 2})

    assert flows.states(child, *many) == ["ready"] * 10
    flows.end("child", *[each.key for each in many])
    assert flows.outcome(made) == "succeeded"
    assert (flows.account(made)["failed"], flows.account(made)["handled"]) == ("2", "2")


def test_an_alternative_that_is_not_needed_is_left_out(flows: Flows) -> None:
    """Also when its task never ran."""
    spare = node("spare", is_alternative=True)
    other = node("other", is_alternative=True)
    bad = node("bad")
    first = replace(node("first"), fallback=spare.id)
    unmet = replace(node("unmet", bad), fallback=other.id)
    made = flows.start(bad, first, spare, unmet, other)

    held = flows.take()
    flows.finish(held["first"])
    flows.finish(held["bad"], "failed")

    assert flows.states(spare, unmet, other) == ["skipped", "unmet", "skipped"]
    assert flows.outcome(made) == "failed"


def test_the_first_of_several_starts_a_task_that_is_in_a_hurry(flows: Flows) -> None:
    """What ends later is not asked."""
    parents = [node(f"p{n}") for n in range(3)]
    child = node("child", *[after(each, policy="ignore") for each in parents], want=1, early=True)
    made = flows.start(*parents, child)
    held = flows.take()

    flows.finish(held["p0"], "failed")
    assert flows.state(child) == "waiting"
    flows.finish(held["p1"])
    assert flows.state(child) == "ready"
    flows.end("child")
    flows.finish(held["p2"], "failed")

    assert flows.outcome(made) == "succeeded"


def test_a_task_in_a_hurry_fails_when_too_few_are_left(flows: Flows) -> None:
    """It does not wait for the last parent to say so."""
    parents = [node(f"p{n}") for n in range(3)]
    child = node("child", *[after(each, policy="ignore") for each in parents], want=2, early=True)
    made = flows.start(*parents, child)
    held = flows.take()

    flows.finish(held["p0"], "failed")
    flows.finish(held["p1"], "failed")

    assert flows.state(child) == "unmet"
    flows.finish(held["p2"])
    assert flows.outcome(made) == "failed"


def test_a_pause_counts_from_the_end_of_the_parents(flows: Flows) -> None:
    """As does the time that a task may stand in its queue."""
    first = node("first")
    child = node("child", first, delay_ms=60_000, expires=30)
    flows.start(first, child)
    flows.end("first")

    assert flows.state(child) == "scheduled"
    due = float(flows.desk.redis("ZSCORE", flows.desk.key("due"), child.id))
    expiry = float(flows.desk.redis("ZSCORE", flows.desk.key("due"), f"x{child.id}"))
    assert expiry - due == 30_000
    flows.desk.make_due(child.id)
    flows.end("child")


def test_a_timer_ends_by_itself(flows: Flows) -> None:
    """And its children start with it."""
    timer = node("timer", kind="timer", delay_ms=60_000)
    child = node("child", timer)
    made = flows.start(timer, child)
    assert flows.states(timer, child) == ["scheduled", "waiting"]

    flows.desk.make_due(timer.id)
    flows.end("child")

    assert flows.states(timer, child) == ["succeeded", "succeeded"]
    assert flows.outcome(made) == "succeeded"


def test_a_deep_flow_fails_to_its_end_in_one_call(flows: Flows) -> None:
    """A thousand tasks, one after the other: no recursion, and nobody waits for ever."""
    chain = [node("n0")]
    for at in range(1, 1000):
        chain.append(node(f"n{at}", chain[-1]))
    made = flows.start(*chain)

    flows.end("n0", how="failed")
    while flows.outcome(made) == "running":
        flows.desk.promote()

    assert flows.account(made)["cancelled"] == "999"
    assert flows.outcome(made) == "failed"


def test_a_failure_that_somebody_deals_with_is_none_of_the_flow(flows: Flows) -> None:
    """A task that comes after a failure, however far it has spread; an onlooker is not enough."""
    first = node("first")
    second = node("second", first)
    saved = flows.start(first, second, node("cleanup", after(second, on="failure")))
    flows.end("first", how="failed")
    flows.end("cleanup")
    assert flows.outcome(saved) == "succeeded"

    bad = node("bad")
    watched = flows.start(bad, node("watch", after(bad, on="failure", policy="ignore")))
    flows.end("bad", how="failed")
    flows.end("watch")
    assert flows.outcome(watched) == "failed"


def test_a_member_that_is_revived_counts_once(flows: Flows) -> None:
    """Its children have been decided; `flow retry` is what decides anew."""
    first = node("first")
    child = node("child", after(first, policy="continue"))
    made = flows.start(first, child)
    flows.end("first", how="failed")
    held = flows.take()["child"]
    flows.desk.requeue(first.id)

    flows.end("first")
    assert flows.account(made)["left"] == "1"
    flows.finish(held)

    assert flows.outcome(made) == "succeeded"


def test_a_purge_of_its_queue_ends_a_flow(flows: Flows) -> None:
    """What is ready there is cancelled, and whoever waits for that is told."""
    first = node("first", queue="q")
    second = node("second", first)
    made = flows.start(first, second)

    flows.desk.purge("q")

    assert flows.states(first, second) == ["cancelled", "unmet"]
    assert flows.account(made)["left"] == "0"


def test_results_stay_until_the_flow_has_ended(flows: Flows) -> None:
    """Whatever TTL a task has by itself: its children may read them late."""
    first = node("first", result_ttl=5)
    flows.start(first, node("second", first), node("other"))
    flows.finish(flows.take()["first"])

    assert flows.desk.redis("PTTL", flows.desk.key(f"t:{first.id}")) == -1
