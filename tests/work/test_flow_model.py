"""Any flow, with any ends of its tasks, worked off in any order: it comes out as the model says."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordq.engine.connection import Engine
from coordq.work.cancel import cancel
from coordq.work.claim import Claim
from coordq.work.flow import calls
from coordq.work.flow.plan import ON, POLICIES, FlowPlan, Node
from tests.work.desk import Desk
from tests.work.flow_model import Model
from tests.work.flows import Flows, after, node, plan

FLAGS = ("good", "result.good and len(tags) > 1", 'not good or "x" in tags')
Ends = dict[str, tuple[str, Any]]


@st.composite
def flows_with_ends(draw: st.DrawFn) -> tuple[FlowPlan, Ends]:
    """A flow of up to eight tasks and their alternatives, and how each would end if it ran."""
    nodes: list[Node] = []
    for at in range(draw(st.integers(1, 8))):
        chosen = draw(st.lists(st.sampled_from(nodes), max_size=4, unique_by=id)) if nodes else []
        edges = [
            after(
                parent,
                draw(st.sampled_from(ON)),
                draw(st.sampled_from(POLICIES)),
                draw(st.none() | st.sampled_from(FLAGS)),
            )
            for parent in chosen
        ]
        want = draw(st.integers(0, len(edges)))
        nodes.append(node(f"n{at}", *edges, want=want))
        for spare in range(draw(st.sampled_from((0, 0, 0, 1, 2)))):
            nodes.append(node(f"n{at}spare{spare}", is_alternative=True))
            nodes[-2] = replace(nodes[-2], fallback=nodes[-1].id)
    ends = {each.id: draw(end()) for each in nodes}
    return plan(*nodes), ends


def end() -> st.SearchStrategy[tuple[str, Any]]:
    """How a task ends: mostly well."""
    good = st.fixed_dictionaries(
        {"good": st.booleans(), "tags": st.lists(st.sampled_from("xyz"), max_size=3)}
    )
    return st.tuples(st.just("succeeded"), good) | st.tuples(st.just("failed"), st.none())


def work_off(flows: Flows, made: FlowPlan, ends: Ends, seed: int) -> list[tuple[str, str]]:
    """Run the whole flow, several at a time, in an order of chance; what happened, in order."""
    chance = random.Random(seed)
    held: dict[str, Claim] = {}
    said: list[tuple[str, str]] = []
    by_key = {each.key: each for each in made.nodes}
    while True:
        taken = flows.take()
        said += [("start", key) for key in taken]
        held |= taken
        if not held:
            return said
        for key in chance.sample(sorted(held), chance.randint(1, len(held))):
            how, result = ends[by_key[key].id]
            flows.finish(held.pop(key), how, result)
            said.append(("end", key))


def check_order(made: FlowPlan, said: list[tuple[str, str]]) -> None:
    """Nothing started before each of its parents that ran at all had ended."""
    at = {event: n for n, event in enumerate(said)}
    key_of = {each.id: each.key for each in made.nodes}
    for each in made.nodes:
        for edge in each.parents:
            start, ended = ("start", each.key), ("end", key_of[edge.parent])
            if start in at and ended in at:
                assert at[ended] < at[start]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(drawn=flows_with_ends(), seed=st.integers(0, 1000))
def test_every_flow_comes_out_as_its_edges_say(
    engine: Engine, drawn: tuple[FlowPlan, Ends], seed: int
) -> None:
    """Every task ends, in its order, and how it ends does not depend on who was first."""
    made, ends = drawn
    flows = Flows(Desk(engine))
    flows.submit(made)
    flows.run(calls.launch(made))

    said = work_off(flows, made, ends, seed)

    model = Model(made, ends)
    check_order(made, said)
    assert {each.key: flows.state(each) for each in made.nodes} == {
        each.key: model.states[each.id] for each in made.nodes
    }
    assert flows.outcome(made) == model.outcome()
    assert flows.account(made)["left"] == "0"


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(drawn=flows_with_ends(), seed=st.integers(0, 1000))
def test_every_task_ends_whatever_is_cancelled_and_retried(
    engine: Engine, drawn: tuple[FlowPlan, Ends], seed: int
) -> None:
    """Single tasks are cancelled at any moment, then nothing fails in a retry: nobody waits on."""
    made, ends = drawn
    flows = Flows(Desk(engine))
    flows.submit(made)
    flows.run(calls.launch(made))
    chance = random.Random(seed)

    for each in chance.sample(made.nodes, len(made.nodes) // 2):
        flows.run(cancel(each.id))
        if chance.random() < 0.5:
            for key, claim in flows.take().items():
                how, result = ends[next(n.id for n in made.nodes if n.key == key)]
                flows.finish(claim, how, result)
    work_off(flows, made, ends, seed)
    first = flows.outcome(made)
    assert_over(flows, made)
    if first == "succeeded":
        return
    flows.retry(made, limit=chance.choice((1, 3, 500)))
    work_off(flows, made, {one: ("succeeded", {"good": True}) for one in ends}, seed)

    assert_over(flows, made)
    assert not {"failed", "cancelled"} & {
        flows.state(each) for each in made.nodes if each.fallback is None
    }


def assert_over(flows: Flows, made: FlowPlan) -> None:
    """The flow has ended, with all of its tasks and with nothing under way."""
    assert flows.account(made)["left"] == "0"
    assert flows.outcome(made) in {"succeeded", "failed", "cancelled"}
    assert not {"waiting", "ready", "running", "scheduled"} & set(flows.states(*made.nodes))
    assert flows.desk.redis("HLEN", flows.desk.key("rippling")) == 0
