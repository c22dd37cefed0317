"""A flow that is too large to be counted in one step is counted by pages, if it stands still."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coordq.ids import new_id
from coordq.work import audit
from coordq.work.flow.plan import FlowPlan
from tests.work.damages import audited, words
from tests.work.desk import Desk
from tests.work.flows import Flows, node


@pytest.fixture
def flows(desk: Desk) -> Flows:
    """The flows of this test's shard."""
    return Flows(desk)


def large(flows: Flows) -> FlowPlan:
    """A flow with one task more than are counted at once."""
    first = node("first")
    rest = [replace(first, id=new_id()) for _ in range(audit.COUNTED_MAX)]
    return flows.start(first, *rest)


def test_a_large_flow_that_counted_wrongly_is_put_right(desk: Desk, flows: Flows) -> None:
    """It would have hung for ever."""
    desk.audited = False  # the other auditor takes its time
    made = large(flows)
    assert audited(desk).findings == []
    desk.redis("HINCRBY", desk.key(f"flow:{made.id}"), "left", 3)

    found = audited(desk)

    total = len(made.nodes)
    assert words(found) == [(made.id, f"left was booked as {total + 3}, and is {total}")]
    assert flows.account(made)["left"] == str(total)
    assert audited(desk).findings == []


def test_pages_of_a_flow_that_moved_do_not_add_up(desk: Desk, flows: Flows) -> None:
    """What was counted before a task ended is no longer true, and nothing is set."""
    made = flows.start(node("a"), node("b"))
    page = desk.run(audit.tally_flow(0, made.id, "0"))
    assert (page.open, page.after) == (2, "")
    held = flows.take()
    flows.finish(held["a"])

    suspect = ("left", f"{made.id} {page.token} 7")
    assert desk.run(audit.repair(0, [suspect])) == []
    token = desk.run(audit.tally_flow(0, made.id, "0")).token
    assert token != page.token

    flows.finish(held["b"])
    assert desk.run(audit.tally_flow(0, made.id, "0")).token == ""


@pytest.mark.parametrize("subject", ["", "x", "a b c", "1k7vdl1kn0061sqkvv2r02 1,1,- 1"])
def test_senseless_suspects_are_nothing(desk: Desk, subject: str) -> None:
    """Neither a flow that there is not nor words that are none."""
    assert desk.run(audit.repair(0, [("left", subject)])) == []
