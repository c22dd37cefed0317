"""The operations on flows, each a Call."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordq.engine.call import Call
from coordq.errors import (
    Conflict,
    DuplicateTask,
    FlowEnded,
    FlowNotFound,
    StaleClaim,
    TaskNotFound,
    WouldCycle,
)
from coordq.ids import new_id, shard_of
from coordq.work.enqueue import Order
from coordq.work.flow.pages import NODES_MAX, Pages, Staging, growth
from coordq.work.flow.plan import Edge, FlowPlan, Node
from coordq.work.task import BY_LETTER

PAGE: Final = 500
SHOWN_MAX: Final = 12
"""Tasks of a cycle that a message names."""


def submit(plan: FlowPlan, *, force: bool = False) -> Iterator[Call[None]]:
    """The calls that bring a flow to its shard, one after the other; `launch` comes after them.

    Each may be repeated. The replies raise FlowNotFound, DuplicateTask.
    """
    passed = 0
    for page in Pages(plan):
        args = (plan.id, passed, "!" if force else "", "", *page)
        yield Call("flow/submit", plan.shard, args, lambda reply: _check(reply, plan))
        passed += int(page[1])


def launch(plan: FlowPlan, *, mailbox: str = "", force: bool = False) -> Call[None]:
    """Start a flow that was submitted whole; `mailbox` hears of its end. Raises FlowNotFound."""
    about = json.dumps(plan.about, separators=(",", ":"), ensure_ascii=False)
    args = (
        plan.id,
        plan.name,
        len(plan.nodes),
        plan.ttl_s,
        mailbox,
        about,
        "!" if force else "",
    )
    return Call("flow/launch", plan.shard, args, lambda reply: _check(reply, plan))


def _check(reply: Any, plan: FlowPlan) -> None:
    if reply == b"ok":
        return
    if reply == b"taken":
        raise DuplicateTask(
            f"Flow {plan.name!r} holds a task whose id another task has: plan the flow again.",
            id=plan.id,
        )
    raise FlowNotFound(
        f"Flow {plan.name!r} ({plan.id}) is not there whole: a flow that is not launched within an "
        "hour is removed. Submit it again from its first page.",
        id=plan.id,
    )


def grow(
    flow_id: str,
    nodes: Sequence[Node] = (),
    edges: Sequence[tuple[str, Edge]] = (),
    *,
    member: str = "",
    force: bool = False,
) -> Iterator[Call[None]]:
    """The calls that add tasks and edges to a flow that runs: all of them, or none.

    One call for up to 500 tasks. More are staged, 500 tasks a call, and the last call adds them.
    edges: (who waits, for what), into tasks that wait already. member: `id|fence` of the task that
    adds them. Nodes and edges that exist are passed over. The replies raise FlowNotFound,
    FlowEnded, StaleClaim, TaskNotFound (no such parent), Conflict (a child that waits no more),
    WouldCycle.
    """
    staged = ""
    if len(nodes) > NODES_MAX:
        staging = Staging(flow_id, nodes, edges)
        yield from _stage(staging, flow_id, "!" if force or member else "")
        staged = staging.id
        page = staging.growth()
    else:
        page = growth(flow_id, nodes, edges)
    args = (flow_id, member, "!" if force else "", "", staged, *page)
    yield Call("flow/grow", shard_of(flow_id), args, lambda reply: _check_growth(reply, flow_id))


def _stage(staging: Staging, flow_id: str, force: str) -> Iterator[Call[None]]:
    passed = 0
    for page in staging.pages:
        args = (staging.id, passed, force, flow_id, *page)
        yield Call("flow/submit", shard_of(flow_id), args, lambda reply: _staged(reply, flow_id))
        passed += int(page[1])


def _staged(reply: Any, flow_id: str) -> None:
    if reply == b"taken":
        raise DuplicateTask(
            f"A task that shall be added to flow {flow_id} has the id of one that there is.",
            id=flow_id,
        )
    if reply != b"ok":
        raise _swept(flow_id)


def _swept(flow_id: str) -> Conflict:
    return Conflict(
        f"What shall be added to flow {flow_id} is not there whole: it is removed when it is not "
        "added within an hour. Add it again from its first page.",
        id=flow_id,
        state="swept",
    )


def depend(
    order: Order, parents: Sequence[Edge], *, delay_ms: int = 0, force: bool = False
) -> Call[None]:
    """Enqueue a task that waits for others of its shard, without a flow.

    delay_ms counts from the end of the last one. A parent that has ended counts at once. The reply
    raises TaskNotFound for one that is not there. Repeating it has one effect.
    """
    node = Node(
        id=order.id,
        key="",
        template=order.template,
        args=order.args,
        delay_ms=delay_ms,
        parents=tuple(parents),
    )
    page = growth("", [node], ())
    args = ("", "", "!" if force else "", order.mailbox, "", *page)
    return Call("flow/grow", shard_of(order.id), args, lambda reply: _check_growth(reply, ""))


def _check_growth(reply: Any, flow_id: str) -> None:
    verdict, *facts = (word.decode() for word in reply)
    match verdict:
        case "ok":
            return
        case "missing":
            raise not_found(flow_id)
        case "ended":
            raise FlowEnded(
                f"Flow {flow_id} is {facts[0]} and takes no more tasks.", id=flow_id, state=facts[0]
            )
        case "gap":
            raise _swept(flow_id)
        case "stale":
            raise StaleClaim(
                "The task that adds to its flow has lost its claim: nothing was added.",
                id=flow_id,
            )
        case "unknown":
            raise TaskNotFound(
                f"There is no task {facts[0]} to wait for: it never existed, its record has "
                "expired, or it lives on another shard.",
                id=facts[0],
            )
        case "late":
            state = BY_LETTER[facts[1]].value
            raise Conflict(
                f"Task {facts[0]} is {state} and cannot be given another task to wait for.",
                id=facts[0],
                state=state,
            )
    shown = facts if len(facts) <= SHOWN_MAX else [*facts[: SHOWN_MAX - 1], "...", facts[-1]]
    raise WouldCycle(
        f"Tasks would wait for each other for ever: {' for '.join(shown)}. Leave that edge out.",
        path=facts,
    )


def not_found(flow_id: str) -> FlowNotFound:
    """The error for a flow that is not there."""
    return FlowNotFound(
        f"There is no flow {flow_id}: it never existed, or the time to look at it is over.",
        id=flow_id,
    )


@dataclass(frozen=True, slots=True)
class Paged:
    """How far an operation on a whole flow has come."""

    more: bool
    """Whether it has to be called again."""
    offset: int = 0
    """Of the next call, where calls have one."""
    left: int = 0
    """At the end: tasks that have not ended."""


def cancel(
    flow_id: str, *, offset: int = 0, limit: int = PAGE, reason: str = "its flow was cancelled"
) -> Call[Paged]:
    """Cancel a page of a flow's tasks; call it until it says that there are no more.

    The reply raises FlowNotFound, FlowEnded.
    """

    def read(reply: Any) -> Paged:
        match reply[0]:
            case b"more":
                return Paged(more=True, offset=int(reply[1]))
            case b"done":
                return Paged(more=False, left=int(reply[1]))
            case b"ended":
                state = reply[1].decode()
                raise FlowEnded(f"Flow {flow_id} is {state} already.", id=flow_id, state=state)
        raise not_found(flow_id)

    args = (flow_id, offset, limit, reason[:200])
    return Call("flow/cancel", shard_of(flow_id), args, read)


def retry(flow_id: str, *, nonce: str, limit: int = PAGE) -> Call[Paged]:
    """Try again what did not succeed, a page a call; call it until there are no more.

    nonce: from `new_nonce`, the same for all calls of one retry. The reply raises FlowNotFound, and
    Conflict when there is nothing to retry.
    """

    def read(reply: Any) -> Paged:
        match reply[0]:
            case b"more":
                return Paged(more=True)
            case b"done":
                return Paged(more=False, left=int(reply[1]))
            case b"state":
                state = reply[1].decode()
                raise Conflict(
                    f"Flow {flow_id} is {state}: only one that failed or was cancelled is retried.",
                    id=flow_id,
                    state=state,
                )
        raise not_found(flow_id)

    return Call("flow/retry", shard_of(flow_id), (flow_id, nonce, limit), read)


def new_nonce() -> str:
    """What makes one retry out of its calls."""
    return new_id()


def forget(flow_id: str, *, limit: int = PAGE) -> Call[Paged]:
    """Delete a page of an ended flow; call it until there is no more. The reply raises Conflict."""

    def read(reply: Any) -> Paged:
        if reply[0] == b"state":
            state = reply[1].decode()
            raise Conflict(
                f"Flow {flow_id} is {state}: cancel it first, then it can be forgotten.",
                id=flow_id,
                state=state,
            )
        return Paged(more=reply[0] == b"more")

    return Call("flow/forget", shard_of(flow_id), (flow_id, limit), read)
