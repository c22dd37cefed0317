"""Looking at a flow, written once for both clients and for whoever explains a task."""

from __future__ import annotations

from dataclasses import replace

from coordq.client.plan import Plan
from coordq.errors import FlowNotFound, TaskNotFound
from coordq.ids import is_id
from coordq.work.flow import look
from coordq.work.flow.view import EdgeView, FlowView, NodeView
from coordq.work.look import watch
from coordq.work.task import State


def check_id(flow_id: object) -> str:
    """`flow_id` itself when it has the shape of an id; else raises FlowNotFound."""
    if isinstance(flow_id, str) and is_id(flow_id):
        return flow_id
    raise FlowNotFound(
        f"{flow_id!r} is not a flow's id: ids are 22 characters of 0-9 and a-v.", id=flow_id
    )


def get(flow_id: str, *, nodes: bool) -> Plan[FlowView]:
    """One flow. Raises FlowNotFound, ForeignData."""
    view: FlowView = yield look.look(check_id(flow_id))
    if not nodes:
        return view
    return (yield from _whole(view))


def _whole(view: FlowView) -> Plan[FlowView]:
    """The flow with its tasks and edges, page by page."""
    found: list[NodeView] = []
    edges: list[EdgeView] = []
    at, pages = 0, 1
    while at < pages:
        page: look.Page = yield look.members(view.id, at)
        found += page.nodes
        edges += page.edges
        at, pages = at + 1, page.pages
    whole = replace(view, nodes=tuple(found), edges=tuple(edges))
    node = whole.returning()
    if node is None or view.state != State.SUCCEEDED or node.state != State.SUCCEEDED:
        return whole
    try:
        (task,) = yield watch([node.id])
    except TaskNotFound:  # it has expired since
        return whole
    return replace(whole, result=task.result)
