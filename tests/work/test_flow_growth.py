"""A flow grows while it runs; what cannot be is refused, and leaves it as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coordq.errors import Conflict, FlowEnded, FlowNotFound, StaleClaim, TaskNotFound, WouldCycle
from coordq.ids import new_id
from coordq.work.flow import calls
from coordq.work.flow.look import members
from coordq.work.flow.plan import Edge
from tests.work.desk import Desk, order
from tests.work.flows import Flows, after, node, plan


@pytest.fixture
def flows(desk: Desk) -> Flows:
    """The flows of this test's shard."""
    return Flows(desk)


def test_a_running_task_adds_tasks_that_others_wait_for(flows: Flows) -> None:
    """As a map over a result does: the join waits for what did not exist when it was made."""
    root = node("root")
    join = node("join", root)
    made = flows.start(root, join)
    held = flows.take()["root"]
    new = [node(f"n{n}") for n in range(3)]

    for _ in range(2):
        flows.grow(made, *new, links=[(join, after(each)) for each in new], member=held.member)
    flows.finish(held)
    assert flows.state(join) == "waiting"
    flows.end("n0", "n1", "n2")
    flows.end("join")

    assert flows.outcome(made) == "succeeded"
    assert flows.account(made)["total"] == "5"


def test_new_tasks_come_after_old_and_new_ones(flows: Flows) -> None:
    """A parent that has ended counts at once; one that has not is waited for."""
    over, open_ = node("over"), node("open")
    made = flows.start(over, open_)
    held = flows.take()
    flows.finish(held["over"])
    first = node("first", over)
    second = node("second", first, open_)

    flows.grow(made, first, second)

    assert flows.states(first, second) == ["ready", "waiting"]
    flows.end("first")
    assert flows.state(second) == "waiting"
    flows.finish(held["open"])
    flows.end("second")
    assert flows.outcome(made) == "succeeded"


def test_an_edge_may_ask_for_a_condition(flows: Flows) -> None:
    """Also one that is added to a task that waited already."""
    root, other = node("root"), node("other")
    child = node("child", root)
    made = flows.start(root, other, child)

    flows.grow(made, links=[(child, after(other, when="score > 1"))])
    held = flows.take()
    flows.finish(held["root"])
    assert flows.state(child) == "waiting"
    flows.finish(held["other"], result={"score": 1})

    assert flows.state(child) == "ready"
    assert flows.desk.redis("HGET", flows.desk.key(f"need:{child.id}"), "neutral") == b"1"


def test_an_edge_that_exists_is_not_counted_twice(flows: Flows) -> None:
    """Adding it again, after a lost reply or on a second run, has no effect."""
    one, two = node("one"), node("two")
    child = node("child", one)
    made = flows.start(one, two, child)
    for _ in range(3):
        flows.grow(made, links=[(child, after(two))])
    held = flows.take()
    flows.finish(held["one"])
    flows.finish(held["two"])

    assert flows.state(child) == "ready"


def test_a_cycle_is_refused_with_its_path(flows: Flows) -> None:
    """Each of the path waits for the next one."""
    root = node("root")
    first = node("first", root)
    second = node("second", first)
    third = node("third", second)
    made = flows.start(root, first, second, third)
    before = flows.desk.dump()

    with pytest.raises(WouldCycle) as refused:
        flows.grow(made, links=[(first, after(third))])

    assert refused.value.facts["path"] == [third.id, second.id, first.id, third.id]
    assert flows.desk.dump() == before


def test_a_cycle_through_new_tasks_is_refused(flows: Flows) -> None:
    """Neither do the new tasks come into being."""
    root = node("root")
    first = node("first", root)
    second = node("second", first)
    made = flows.start(root, first, second)
    new = node("new", second)
    before = flows.desk.dump()

    with pytest.raises(WouldCycle):
        flows.grow(made, new, links=[(first, after(new))])
    with pytest.raises(WouldCycle):
        flows.grow(made, links=[(first, after(first))])

    assert flows.desk.dump() == before


def test_what_cannot_be_added_is_refused(flows: Flows) -> None:
    """An unknown parent, a child that runs already, a claim that lapsed, a flow that is gone."""
    root = node("root")
    made = flows.start(root)
    held = flows.take()["root"]
    before = flows.desk.dump()

    with pytest.raises(TaskNotFound):
        flows.grow(made, node("new", Edge(new_id())))
    with pytest.raises(TaskNotFound):
        flows.grow(made, links=[(node("nobody"), after(root))])
    with pytest.raises(Conflict):
        flows.grow(made, node("new"), links=[(root, after(root))])
    with pytest.raises(StaleClaim):
        flows.grow(made, node("new"), member=f"{root.id}|1")
    with pytest.raises(FlowNotFound):
        flows.grow(plan(root), node("new"))
    assert flows.desk.dump() == before

    flows.finish(held)
    with pytest.raises(FlowEnded):
        flows.grow(made, node("new"))


def test_a_task_without_a_flow_waits_for_others(desk: Desk) -> None:
    """For those that have not ended; what it left behind is gone afterwards."""
    over, one, two = desk.put(), desk.put(), desk.put()
    desk.end(desk.take())
    waits = order(args={"n": 1}, mailbox="m")

    for _ in range(2):
        desk.run(calls.depend(waits, [Edge(over), Edge(one), Edge(two)]))
    assert desk.state(waits.id) == "waiting"
    for held in desk.claim(5).claims:
        assert desk.end(held) == "ok"

    assert desk.state(waits.id) == "ready"
    assert desk.end(desk.take()) == "ok"
    assert desk.redis("LLEN", desk.key("mailbox:m")) == 1
    assert [name for name in desk.names() if name.split(":")[-2:-1] in (["kids"], ["need"])] == []
    assert desk.redis("EXISTS", desk.key("waiting")) == 0


def test_a_task_that_depends_on_what_failed_does_not_run(desk: Desk) -> None:
    """Its record says whose fault that is."""
    parent = desk.put()
    desk.end(desk.take(), "failed")
    waits = order()

    desk.run(calls.depend(waits, [Edge(parent)]))

    task = desk.task(waits.id)
    assert (task.state.value, task.reason) == ("cancelled", "parent-failed")
    assert task.error is not None
    assert task.error["parent"] == parent


def test_a_task_cannot_depend_on_nobody(desk: Desk) -> None:
    """An id that was mistyped must not wait for ever."""
    waits = order()

    with pytest.raises(TaskNotFound):
        desk.run(calls.depend(waits, [Edge(new_id())]))

    assert desk.redis("EXISTS", desk.key(f"t:{waits.id}")) == 0


def test_the_graph_of_a_flow_grows_with_it(flows: Flows) -> None:
    """Whoever looks sees what was added."""
    root = node("root")
    made = flows.start(root)
    flows.grow(made, node("new", after(root, when="ok")))

    pages = [flows.run(members(made.id, page)) for page in range(2)]

    assert [each.key for page in pages for each in page.nodes] == ["root", "new"]
    assert pages[1].edges[0].condition == "ok"


def test_an_alternative_that_is_added_waits_for_the_failure(flows: Flows) -> None:
    """It has no parents, and is no root for that."""
    holds = node("holds")
    made = flows.start(holds)
    spare = node("spare", is_alternative=True)
    first = replace(node("first"), fallback=spare.id)

    flows.grow(made, first, spare)

    assert flows.states(first, spare) == ["ready", "waiting"]
    flows.finish(flows.take()["first"], "failed")
    flows.end("spare")
    assert flows.states(first, spare) == ["failed", "succeeded"]
