"""Scenes of flows, for the tests of lost replies."""

from __future__ import annotations

from typing import Any

from coordq.engine.call import Call
from coordq.work.audit import tally_flow
from coordq.work.finish import Outcome, finish
from coordq.work.flow import calls
from coordq.work.flow.look import look, ls, members
from coordq.work.flow.plan import Edge
from tests.work.desk import Desk, ask, order
from tests.work.flows import Flows, after, node, plan
from tests.work.scenes import Check, scene


@scene
def flow_submit(desk: Desk) -> tuple[Call[Any], Check]:
    """The page is there once, with its needs and lists of edges."""
    parents = [node(f"p{n}") for n in range(3)]
    made = plan(*parents, node("join", *parents))
    (call,) = calls.submit(made)

    def check(_: Any) -> None:
        flows = Flows(desk)
        assert flows.account(made)["total"] == flows.account(made)["left"] == "4"
        assert desk.redis("LLEN", desk.key(f"kids:{made.id}")) == 3
        desk.run(calls.launch(made))
        flows.end("p0", "p1", "p2")
        flows.end("join")
        assert flows.outcome(made) == "succeeded"

    return call, check


@scene
def flow_launch(desk: Desk) -> tuple[Call[Any], Check]:
    """It starts once."""
    made = plan(node("a"), node("b"))
    flows = Flows(desk)
    flows.submit(made)

    def check(_: Any) -> None:
        assert desk.queue().ready == 2
        kinds = [event.kind for event in desk.events() if event.subject == made.id]
        assert kinds == ["flow-started"]

    return calls.launch(made, mailbox="m"), check


@scene
def flow_finish(desk: Desk) -> tuple[Call[Any], Check]:
    """The child counts its parent once, and is claimed in the same call."""
    one, two = node("one"), node("two")
    join = node("join", one, two)
    flows = Flows(desk)
    flows.start(one, two, join)
    held = flows.take()
    flows.finish(held["one"])

    def check(done: Any) -> None:
        assert done.verdicts == ("duplicate",)
        assert [each.id for each in done.claimed.claims] == [join.id]

    outcome = Outcome("succeeded", two.id, held["two"].fence, b"1")
    return finish(0, [outcome], ask()), check


@scene
def flow_grow(desk: Desk) -> tuple[Call[Any], Check]:
    """One new task, and one more edge into the one that waits."""
    flows = Flows(desk)
    root = node("root")
    child = node("child", root)
    made = flows.start(root, child)
    held = flows.take()["root"]
    new = node("new", root)
    (call,) = calls.grow(made.id, [new], [(child.id, after(new))], member=held.member)

    def check(_: Any) -> None:
        assert flows.account(made)["total"] == "3"
        flows.finish(held)
        flows.end("new")
        flows.end("child")
        assert flows.outcome(made) == "succeeded"

    return call, check


@scene
def depend(desk: Desk) -> tuple[Call[Any], Check]:
    """One task that waits, once."""
    parent = desk.put()
    waits = order()

    def check(_: Any) -> None:
        desk.end(desk.take())
        assert desk.end(desk.take()) == "ok"
        assert desk.queue().succeeded == 2

    return calls.depend(waits, [Edge(parent)]), check


@scene
def flow_cancel(desk: Desk) -> tuple[Call[Any], Check]:
    """Cancelled, also by the call that finds it so."""
    flows = Flows(desk)
    first = node("first")
    made = flows.start(first, node("second", first))
    held = flows.take()["first"]

    def check(page: Any) -> None:
        assert page.left == 1
        flows.finish(held, "cancelled")
        assert flows.outcome(made) == "cancelled"
        assert desk.queue().cancelled == 2

    return calls.cancel(made.id), check


@scene
def flow_retry(desk: Desk) -> tuple[Call[Any], Check]:
    """A page that was done is not done again."""
    flows = Flows(desk)
    good, bad = node("good"), node("bad")
    join = node("join", good, bad)
    made = flows.start(good, bad, join)
    held = flows.take()
    flows.finish(held["good"])
    flows.finish(held["bad"], "failed")
    call = calls.retry(made.id, nonce="n")

    def check(_: Any) -> None:
        while desk.run(call).more:
            pass
        flows.end("bad")
        flows.end("join")
        assert flows.outcome(made) == "succeeded"

    return call, check


@scene
def flow_forget(desk: Desk) -> tuple[Call[Any], Check]:
    """Gone is gone."""
    flows = Flows(desk)
    made = flows.start(node("a"))
    flows.end("a")

    def check(page: Any) -> None:
        assert not page.more
        assert desk.redis("EXISTS", desk.key(f"flow:{made.id}")) == 0

    return calls.forget(made.id), check


@scene
def flow_look(desk: Desk) -> tuple[Call[Any], Check]:
    """Looking again is no effect; its mailbox is known once."""
    flows = Flows(desk)
    made = flows.start(node("a"))

    def check(seen: Any) -> None:
        assert (seen.total, seen.left, seen.state) == (1, 1, "running")
        flows.end("a")
        assert desk.redis("LLEN", desk.key("mailbox:m")) == 1

    return look(made.id, mailbox="m"), check


@scene
def flow_members(desk: Desk) -> tuple[Call[Any], Check]:
    """A page of a graph."""
    flows = Flows(desk)
    made = flows.start(node("a"))

    def check(page: Any) -> None:
        assert [(each.key, each.state) for each in page.nodes] == [("a", "ready")]

    return members(made.id, 0), check


@scene
def flow_ls(desk: Desk) -> tuple[Call[Any], Check]:
    """A page of flows."""
    made = Flows(desk).start(node("a"))

    def check(listed: Any) -> None:
        assert [each.id for each in listed.flows] == [made.id]

    return ls(0), check


@scene
def flow_stage(desk: Desk) -> tuple[Call[Any], Check]:
    """The page is staged once."""
    return _grown_in_pages(desk, 0)


@scene
def flow_grow_staged(desk: Desk) -> tuple[Call[Any], Check]:
    """What was staged is added once."""
    return _grown_in_pages(desk, 2)


def _grown_in_pages(desk: Desk, before: int) -> tuple[Call[Any], Check]:
    """The call after so many of a growth; then the others follow."""
    flows = Flows(desk)
    root = node("root")
    join = node("join", root)
    made = flows.start(root, join)
    nodes = [node(f"n{n}") for n in range(600)]
    steps = [*calls.grow(made.id, nodes, [(join.id, after(each)) for each in nodes])]
    for call in steps[:before]:
        desk.run(call)

    def check(_: Any) -> None:
        for call in steps[before + 1 :]:
            desk.run(call)
        assert flows.account(made)["total"] == flows.account(made)["left"] == "602"
        while held := desk.claim(200).claims:
            last = desk.run(look(made.id)).left == 1
            assert (join.id in {each.id for each in held}) == last
            desk.finish(*(Outcome("succeeded", each.id, each.fence, b"1") for each in held))
        assert flows.outcome(made) == "succeeded"

    return steps[before], check


@scene
def flow_race(desk: Desk) -> tuple[Call[Any], Check]:
    """One wins, once; the other is cancelled once."""
    quick, other = node("quick"), node("other", name="unknown")
    edges = [after(each, policy="ignore") for each in (quick, other)]
    winner = node("winner", *edges, want=1, early=True, cancel_losers=True)
    flows = Flows(desk)
    made = flows.start(quick, other, winner)
    held = flows.take()["quick"]

    def check(done: Any) -> None:
        desk.promote()
        assert [each.id for each in done.claimed.claims] == [winner.id]
        assert flows.states(quick, other) == ["succeeded", "cancelled"]
        flows.finish(done.claimed.claims[0])
        assert flows.account(made)["cancelled"] == "1"
        assert flows.outcome(made) == "succeeded"

    return finish(0, [Outcome("succeeded", quick.id, held.fence, b"1")], ask()), check


@scene
def flow_tally(desk: Desk) -> tuple[Call[Any], Check]:
    """Counting changes nothing."""
    made = Flows(desk).start(node("a"), node("b"))

    def check(page: Any) -> None:
        assert (page.open, page.after) == (2, "")

    return tally_flow(0, made.id, "0"), check
