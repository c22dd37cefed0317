"""An auditor leaves flows alone, however they grow, wait, fail and are tried again beside it."""

from __future__ import annotations

import random

import pytest

from coordq.work.flow import calls
from coordq.work.flow.plan import Node
from tests.work.damages import audited
from tests.work.desk import Desk
from tests.work.flows import NODES, Flows, after, node
from tests.work.test_repair_nothing import Nightwatch
from tests.work.waiting_room import say, send, suspend, wait

ONES = (("success", "fail"), ("success", "skip"), ("success", "continue"), ("always", "fail"))


def tangle(dice: random.Random, amount: int) -> list[Node]:
    """Tasks with up to three parents each, some of which wait for a person or for a signal."""
    made: list[Node] = []
    for number in range(amount):
        parents = dice.sample(made, min(len(made), dice.randint(0, 3)))
        edges = [after(parent, *dice.choice(ONES)) for parent in parents]
        kind = dice.choice(("task", "task", "task", "approval", "signal"))
        name = {"task": "job"}.get(kind, f"coordq.{kind}")
        signal = "go" if kind == "signal" else ""
        made.append(node(f"n{number}", *edges, name=name, kind=kind, signal=signal))
    return made


def step(flows: Flows, dice: random.Random) -> bool:
    """Something happens to a flow; false when nothing more can."""
    desk = flows.desk
    held = desk.claim(dice.randint(1, 4), served=NODES).claims
    for claim in held:
        how = dice.choice(("succeeded", "succeeded", "failed", "cancelled", "retry", "wait"))
        if how == "wait":
            suspend(desk, claim, wait(dice.choice(("approval", "signal")), name="go"))
        else:
            desk.end(claim, how, delay_ms=1)
    due = [member.decode() for member in desk.redis("ZRANGE", desk.key("due"), 0, -1)]
    if due:
        desk.make_due(*due)
        desk.promote()
    woken = 0
    while heard := send(desk, "go", nonce=str(dice.random())).woken:
        woken += heard
    asked = suspended(desk)
    if asked and not held:
        say(desk, dice.choice(asked), approved=dice.random() < 0.7)
    return bool(held or due or woken or asked)


def suspended(desk: Desk) -> list[str]:
    """Who waits for an answer: all that are suspended, once they have heard the signal."""
    tasks = [name for name in desk.names() if name.startswith(desk.key("t:"))]
    return [name[-22:] for name in tasks if desk.redis("GET", name).startswith(b"p")]


@pytest.mark.parametrize("seed", range(6))
def test_an_audit_after_each_step_of_a_flow_finds_nothing(desk: Desk, seed: int) -> None:
    """Whatever state a flow can come to by right, it is no damage."""
    dice = random.Random(seed)
    flows = Flows(desk)
    made = flows.start(*tangle(dice, 14))
    assert audited(desk, look=True).findings == []

    for _ in range(2):
        while flows.outcome(made) == "running":
            assert step(flows, dice), "something goes on as long as the flow does"
            assert audited(desk, look=True).findings == []
        nonce = calls.new_nonce()
        if flows.outcome(made) == "succeeded":
            break
        while desk.run(calls.retry(made.id, nonce=nonce, limit=3)).more:
            assert audited(desk, look=True).findings == []
    while flows.outcome(made) == "running":
        assert step(flows, dice)


def test_audits_beside_flows_repair_nothing(desk: Desk, redis_url: str) -> None:
    """What an audit has read is older than what it compares that with; edges move meanwhile."""
    dice = random.Random(11)
    flows = Flows(desk)

    def work() -> None:
        for _ in range(2):
            made = flows.start(*tangle(dice, 30))
            while flows.outcome(made) == "running":
                assert step(flows, dice)

    Nightwatch(redis_url, desk.engine.namespace).during(work)
    assert audited(desk, look=True).findings == []
