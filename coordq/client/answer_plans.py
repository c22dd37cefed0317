"""Answering tasks that wait, and steps of flows by their keys; written once for both clients."""

from __future__ import annotations

from typing import Any, Final

from coordq.client.flow_looks import check_id, get
from coordq.client.plan import Plan
from coordq.errors import FlowNotFound, TaskNotFound
from coordq.work import answer as answers
from coordq.work.flow import look
from coordq.work.flow.view import FlowView
from coordq.work.task import State

NAMED_MAX: Final = 5
"""Keys that a message names."""


def answer(
    task_id: str,
    step: str = "",
    *,
    approved: bool,
    by: str,
    note: str,
    value: Any = None,
    key: str = "",
) -> Plan[None]:
    """Approve or reject. step: the key of one, if task_id is that of a flow.

    Raises TaskNotFound, FlowNotFound, Conflict, InvalidInput.
    """
    if step:
        task_id = yield from member(task_id, step)
    try:
        yield answers.answer(task_id, approved=approved, by=by, note=note, value=value, key=key)
    except TaskNotFound:
        yield from _is_flow(task_id)
        raise


def member(flow_id: str, step: str) -> Plan[str]:
    """The id of a flow's task, by its key. Raises TaskNotFound, FlowNotFound."""
    view: FlowView = yield look.look(check_id(flow_id))
    keys: list[str] = []
    at, pages = 0, 1
    while at < pages:
        page: look.Page = yield look.members(flow_id, at)
        for node in page.nodes:
            if node.key == step:
                return node.id
        keys += [node.key for node in page.nodes]
        at, pages = at + 1, page.pages
    raise TaskNotFound(
        f"Flow {view.name!r} ({flow_id}) has no task {step!r}{_nearest(step, keys)} "
        f"`coordq flow show {flow_id}` lists them.",
        id=flow_id,
        step=step,
    )


def _nearest(step: str, keys: list[str]) -> str:
    from difflib import get_close_matches

    found = get_close_matches(step, keys, n=1)
    return f"; did you mean {found[0]!r}?" if found else "."


def _is_flow(task_id: str) -> Plan[None]:
    """Raise an error that says more when the id is that of a flow."""
    try:
        view = yield from get(task_id, nodes=True)
    except FlowNotFound:
        return
    waiting = [
        node.key for node in view.nodes if node.kind == "approval" and node.state == State.SUSPENDED
    ]
    named = ", ".join(waiting[:NAMED_MAX]) or "none"
    raise TaskNotFound(
        f"{task_id} is flow {view.name!r}, not a task: say which of its tasks is meant by its key. "
        f"For an approval there wait: {named}.",
        id=task_id,
        waiting=waiting,
    )
