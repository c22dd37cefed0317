"""Operations on flows, written once for both clients."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from coordq.amounts import whole
from coordq.client import checked
from coordq.client.flow_looks import check_id, get
from coordq.client.letters import Letters
from coordq.client.plan import Plan, chunks
from coordq.engine.call import Call
from coordq.engine.replica import replicated
from coordq.errors import FlowFailed, InvalidFlow, InvalidOption, NotReplicated
from coordq.ids import new_id, shard_of
from coordq.work import answer as answers
from coordq.work import look as looking
from coordq.work.flow import calls, look
from coordq.work.flow.plan import Edge, FlowPlan
from coordq.work.flow.view import FlowView, NodeView
from coordq.work.task import State, Task

if TYPE_CHECKING:
    from coordq.work.flow.build import Flow
    from coordq.work.flow.graph import Graph

FORMATS: Final = ("text", "mermaid", "svg")
STATES: Final = ("building", "running", "retrying", "succeeded", "failed", "cancelled")
NAMED_MAX: Final = 5
"""Failed tasks that a message names."""
_TURN: Final = count()
FLOWS: Final[Letters[str]] = Letters("flow", look.watch, look.read_letter, at_once=1)


# -- run ---------------------------------------------------------------------------------------


def planned(flow: Flow | FlowPlan, shards: int) -> FlowPlan:
    """A plan of the flow, on a shard of its own. Raises InvalidFlow."""
    if isinstance(flow, FlowPlan):
        return flow
    plan = getattr(flow, "plan", None)
    if plan is None:
        raise InvalidFlow(f"{flow!r:.60} is no flow: build one with coordq.Flow.")
    made: FlowPlan = plan(next(_TURN) % shards)
    return made


def run(plan: FlowPlan, *, force: bool, durability: str) -> Plan[None]:
    """Submit a flow page by page, and launch it. Raises NotReplicated, ReadOnly, RedisFull."""
    if durability not in ("primary", "replica"):
        raise InvalidOption(
            f"durability={durability!r}: use one of primary, replica.", option="durability"
        )
    yield from calls.submit(plan, force=force)
    launch = calls.launch(plan, force=force)
    if durability == "primary":
        yield launch
        return

    def read(reply: Any) -> bool:
        launch.read(reply)
        return True

    told = Call(launch.script, launch.shard, launch.args, read)
    confirmed: bool = yield replicated(told, lambda _, replica: replica)
    if not confirmed:
        raise NotReplicated(
            f"No replica confirmed flow {plan.name!r} ({plan.id}) in time. It is on the primary "
            "and runs, unless that is lost before a replica has caught up.",
            ids=[plan.id],
        )


# -- look --------------------------------------------------------------------------------------


def ls(shards: int, *, state: str, name: str, limit: int) -> Plan[list[FlowView]]:
    """Flows that fit, newest first. Raises InvalidOption, InvalidName."""
    whole("limit", limit)
    name = checked.wanted("flow", name)
    if state and state not in STATES:
        raise InvalidOption(
            f"state={state!r} does not exist: use one of {', '.join(STATES)}.", option="state"
        )
    found: list[FlowView] = []
    for shard in range(shards):
        fitting: list[FlowView] = []
        offset, looked_at = 0, 1
        while looked_at and len(fitting) < limit:
            page: look.Listed = yield look.ls(shard, offset=offset)
            fitting += [
                one for one in page.flows if state in ("", one.state) and name in ("", one.name)
            ]
            offset, looked_at = offset + page.looked_at, page.looked_at
        found += fitting
    return sorted(found, key=lambda view: view.created_ms, reverse=True)[:limit]


def results(flow_id: str) -> Plan[tuple[Any] | None]:
    """The result of a flow; None when it goes on, because a letter was about an earlier end.

    Raises FlowFailed, FlowNotFound.
    """
    view = yield from get(flow_id, nodes=True)
    if not view.ended:
        return None
    if view.state != State.SUCCEEDED:
        raise failed(view)
    if view.returns:
        return (view.result,)
    wanted = {key: node.id for key, node in view.sinks().items() if node.state == State.SUCCEEDED}
    found: dict[str, Any] = {}
    for ids in chunks(list(wanted.values())):
        tasks: list[Task | None] = yield looking.watch(ids)
        found |= {task.id: task.result for task in tasks if task is not None}
    return ({key: found.get(task_id) for key, task_id in wanted.items()},)


def failed(view: FlowView) -> FlowFailed:
    """The error for a flow without results: which tasks failed, and why."""
    failures = view.failures()
    reasons = [f"{node.key}: {_why(node)}" for node in failures[:NAMED_MAX]]
    if len(failures) > NAMED_MAX:
        reasons.append(f"and {len(failures) - NAMED_MAX} more")
    because = f": {'; '.join(reasons)}" if reasons else ""
    was = "was cancelled" if view.state == State.CANCELLED else f"has {view.state}"
    told = f"{was}{because}".removesuffix(".")
    return FlowFailed(
        f"Flow {view.name!r} ({view.id}) {told}. See `coordq flow show {view.id}`.",
        id=view.id,
        state=view.state,
        failed={node.key: node.error for node in failures},
    )


def _why(node: NodeView) -> str:
    error = node.error or {}
    return f"{error.get('type', 'error')}: {error.get('message', 'no reason was recorded')}"


def graph(flow: str | Flow | FlowPlan, *, form: str) -> Plan[str]:
    """A picture. Raises FlowNotFound, InvalidOption, InvalidFlow."""
    from coordq.work.flow.graph import graph_of_plan, graph_of_view

    if form not in FORMATS:
        raise InvalidOption(
            f"format={form!r} does not exist: use one of {', '.join(FORMATS)}.", option="format"
        )
    if isinstance(flow, str):
        view = yield from get(flow, nodes=True)
        return picture(graph_of_view(view), form)
    return picture(graph_of_plan(planned(flow, 1)), form)


def picture(drawn: Graph, form: str) -> str:
    """A graph as text, mermaid or svg."""
    if form == "mermaid":
        from coordq.work.flow.mermaid import mermaid

        return mermaid(drawn)
    if form == "svg":
        from coordq.work.flow.svg import svg

        return svg(drawn)
    from coordq.work.flow.draw import text

    return text(drawn)


# -- change ------------------------------------------------------------------------------------


def grow(flow_id: str, flow: Flow, *, after: Any) -> Plan[dict[str, str]]:
    """Add the tasks of `flow`; their ids. Raises FlowNotFound, FlowEnded, InvalidFlow."""
    view = yield from get(flow_id, nodes=True)
    made = flow.plan(shard_of(flow_id))
    roots = tuple(Edge(_member(view, one)) for one in _listed(after))
    taken = {node.key for node in view.nodes}
    for node in made.nodes:
        if node.key in taken:
            raise InvalidFlow(
                f"Flow {view.name!r} ({flow_id}) has a task {node.key!r} already.",
                flow=view.name,
                node=node.key,
            )
    nodes = [
        node if node.parents or node.is_alternative else replace(node, parents=roots)
        for node in made.nodes
    ]
    yield from calls.grow(flow_id, nodes)
    return {node.key: node.id for node in nodes}


def _listed(after: Any) -> Iterable[str]:
    return (after,) if isinstance(after, str) else after


def _member(view: FlowView, which: str) -> str:
    """The id of a task of the flow, by its key or id. Raises InvalidFlow."""
    for node in view.nodes:
        if which in (node.key, node.id):
            return node.id
    raise InvalidFlow(
        f"Flow {view.name!r} ({view.id}) has no task {which!r}.", flow=view.name, node=which
    )


def cancel(flow_id: str, *, reason: str) -> Plan[FlowView]:
    """Cancel what has not ended. Raises FlowNotFound, FlowEnded."""
    done: calls.Paged = yield calls.cancel(check_id(flow_id), reason=reason)
    while done.more:
        done = yield calls.cancel(flow_id, offset=done.offset, reason=reason)
    return (yield from get(flow_id, nodes=False))


def retry(flow_id: str) -> Plan[FlowView]:
    """Run again what did not succeed. Raises FlowNotFound, Conflict."""
    check_id(flow_id)
    nonce, more = calls.new_nonce(), True
    while more:
        done: calls.Paged = yield calls.retry(flow_id, nonce=nonce)
        more = done.more
    return (yield from get(flow_id, nodes=False))


def forget(flow_id: str) -> Plan[None]:
    """Delete a flow that has ended. Raises FlowNotFound, Conflict."""
    yield from get(flow_id, nodes=False)
    more = True
    while more:
        done: calls.Paged = yield calls.forget(flow_id)
        more = done.more


def signal(shards: int, name: str, value: Any, *, keep: float | timedelta) -> Plan[int]:
    """Tell all who wait for it, on every shard; how many there were."""
    nonce, woken = new_id(), 0
    for shard in range(shards):
        more = True
        while more:
            heard: answers.Heard = yield answers.signal(shard, name, value, keep=keep, nonce=nonce)
            woken, more = woken + heard.woken, heard.more
    return woken
