"""Flows that are over go with all that belongs to them; what runs stays."""

from __future__ import annotations

import pytest

from coordq.errors import Conflict, Deposed, FlowNotFound
from coordq.fleet.election import inaugurate
from coordq.work.finish import Outcome
from coordq.work.flow import calls
from coordq.work.flow.plan import FlowPlan
from coordq.work.flow.tidy import Swept, sweep
from coordq.work.saved import checkpoint
from coordq.work.tidy import Place, tidy
from tests.work.damages import audited
from tests.work.desk import Desk
from tests.work.flows import Flows, node, plan


@pytest.fixture
def flows(desk: Desk) -> Flows:
    """The flows of that desk's shard."""
    return Flows(desk)


def ended(flows: Flows, *, ttl_s: int = 60) -> FlowPlan:
    """A flow of which one task succeeded, with a checkpoint, and one failed."""
    first = node("first")
    made = flows.start(first, node("second", first), ttl_s=ttl_s)
    held = flows.take()["first"]
    flows.desk.run(checkpoint(held.member, b"1"))
    flows.desk.finish(Outcome("succeeded", held.id, held.fence, b'{"big":"' + b"x" * 3000 + b'"}'))
    flows.end("second", how="failed")
    return made


def make_old(desk: Desk, made: FlowPlan) -> None:
    """Let its time be over."""
    assert desk.redis("ZSCORE", desk.key("flows:ended"), made.id) is not None
    desk.redis("ZADD", desk.key("flows:ended"), 1, made.id)


def left(desk: Desk, made: FlowPlan) -> list[str]:
    """What there is of a flow."""
    ids = {made.id, *(each.id for each in made.nodes)}
    return [name for name in desk.names() if any(one in name for one in ids)]


def test_a_flow_goes_when_its_time_is_over(desk: Desk, flows: Flows) -> None:
    """With records, results, checkpoints, edges and dead letters; not earlier."""
    made = ended(flows)
    other = flows.start(node("only"))
    before = desk.run(sweep(0))
    assert before.tasks == before.flows == 0
    assert 0 < (before.due_in_ms or 0) <= 60_000

    make_old(desk, made)

    assert desk.run(sweep(0)) == Swept(tasks=2, flows=1, due_in_ms=None)
    assert left(desk, made) == []
    assert desk.overview().dead == 0
    assert flows.outcome(other) == "running"
    flows.end("only")


def test_a_large_flow_goes_page_by_page(desk: Desk, flows: Flows) -> None:
    """Nobody can start it again in between."""
    made = flows.start(*(node(f"n{n}") for n in range(5)))
    flows.end(*(f"n{n}" for n in range(5)), how="failed")
    make_old(desk, made)

    assert desk.run(sweep(0, limit=2)) == Swept(tasks=2, flows=0, due_in_ms=0)
    with pytest.raises(Conflict):
        desk.run(calls.retry(made.id, nonce=calls.new_nonce()))
    assert desk.run(sweep(0, limit=2)) == Swept(tasks=2, flows=0, due_in_ms=0)
    assert desk.run(sweep(0, limit=2)) == Swept(tasks=1, flows=1, due_in_ms=None)
    assert left(desk, made) == []


def test_a_flow_that_nobody_launched_goes_after_an_hour(desk: Desk, flows: Flows) -> None:
    """Its maker died half-way; who comes back after that starts anew."""
    made = plan(node("first", total_timeout=90), node("second"))
    flows.submit(made)
    assert 0 < (desk.run(sweep(0)).due_in_ms or 0) <= 3_600_000

    make_old(desk, made)

    assert desk.run(sweep(0)) == Swept(tasks=2, flows=1, due_in_ms=None)
    assert left(desk, made) == []
    assert desk.redis("ZCARD", desk.key("due")) == 0
    with pytest.raises(FlowNotFound):
        desk.run(calls.launch(made))


def test_a_flow_that_was_launched_is_not_swept(desk: Desk, flows: Flows) -> None:
    """However long it takes."""
    made = flows.start(node("only"))

    assert desk.run(sweep(0)).due_in_ms is None
    desk.redis("ZADD", desk.key("flows:ended"), 1, made.id)  # as if the book were wrong
    assert desk.run(sweep(0)) == Swept(tasks=0, flows=0, due_in_ms=None)
    assert flows.outcome(made) == "running"
    flows.end("only")


def test_a_flow_that_is_tried_again_stays(desk: Desk, flows: Flows) -> None:
    """Its time to live counts from its new end."""
    made = ended(flows)
    nonce = calls.new_nonce()
    while desk.run(calls.retry(made.id, nonce=nonce)).more:
        pass

    assert desk.run(sweep(0)).due_in_ms is None

    flows.end("second")
    assert flows.outcome(made) == "succeeded"
    assert desk.run(sweep(0)).due_in_ms is not None


def test_a_leader_of_the_past_sweeps_nothing(desk: Desk, flows: Flows) -> None:
    """Another one has other retentions, and the right to them."""
    make_old(desk, ended(flows))
    desk.run(inaugurate(0, 7))
    before = desk.dump()

    with pytest.raises(Deposed):
        desk.run(sweep(0, epoch=6))

    assert desk.dump() == before


@pytest.mark.parametrize("how", ["forget", "tidy"])
def test_a_dead_letter_of_a_flow_goes_with_its_edges(desk: Desk, flows: Flows, how: str) -> None:
    """Whoever deletes it by itself leaves nothing for the auditor to find."""
    first = node("first")
    made = flows.start(first, *(node(f"n{n}", first) for n in range(10)))
    flows.end("first", how="failed")
    assert desk.redis("EXISTS", desk.key(f"kids:{first.id}")) == 1

    if how == "forget":
        desk.forget(first.id)
    else:
        desk.redis("ZADD", desk.key("dead"), 1, first.id)
        desk.run(tidy(0, Place(), dead_ms=1))

    assert [name for name in desk.names() if name.endswith(first.id)] == []
    assert flows.outcome(made) == "failed"
    assert audited(desk, look=True).findings == []
