"""See flows: the account of one, its tasks page by page, all of them, or the moment one ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordq.engine.call import Call
from coordq.errors import FlowNotFound
from coordq.ids import shard_of
from coordq.work.flow.view import EdgeView, FlowView, NodeView, node_of, read_flow

PAGE_MAX: Final = 500
"""Flows of one page of `ls`."""


def look(flow_id: str, *, mailbox: str = "") -> Call[FlowView]:
    """The account of a flow; `mailbox` hears of its end. Raises FlowNotFound, ForeignData."""

    def read(reply: Any) -> FlowView:
        if not reply:
            raise FlowNotFound(
                f"There is no flow {flow_id}: it never existed, or its retention ran out.",
                id=flow_id,
            )
        return read_flow(flow_id, dict(zip(reply[::2], reply[1::2], strict=True)))

    return Call("flow/look", shard_of(flow_id), (flow_id, mailbox), read)


def watch(ids: Sequence[str], mailbox: str) -> Call[list[str | None]]:
    """The state of one flow when it has ended; None when it goes on, and the mailbox will hear."""
    (flow_id,) = ids
    call = look(flow_id, mailbox=mailbox)

    def read(reply: Any) -> list[str | None]:
        view = call.read(reply)
        return [view.state if view.ended else None]

    return Call(call.script, call.shard, call.args, read)


def read_letter(letter: bytes) -> tuple[str, str]:
    """What a mailbox holds: a flow's id, and the state in which it ended."""
    flow_id, _, facts = letter.partition(b"\n")
    return flow_id.decode(), json.loads(facts)["state"]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a flow's graph."""

    nodes: tuple[NodeView, ...]
    edges: tuple[EdgeView, ...]
    pages: int
    """How many there are."""


def members(flow_id: str, page: int) -> Call[Page]:
    """Some tasks of a flow, and the edges that came with them. Pages count from 0."""

    def read(reply: Any) -> Page:
        pages, *rest = reply
        if not rest:
            return Page((), (), pages)
        graph = json.loads(rest[0])
        told = zip(rest[1::3], rest[2::3], rest[3::3], strict=True)
        nodes = tuple(
            node_of(row, life, spec, outcome)
            for row, (life, spec, outcome) in zip(graph["nodes"], told, strict=True)
        )
        return Page(nodes, tuple(EdgeView(*row) for row in graph["edges"]), pages)

    return Call("flow/members", shard_of(flow_id), (flow_id, page), read)


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of flows."""

    flows: tuple[FlowView, ...]
    looked_at: int
    """0: there are no more."""


def ls(shard: int, *, offset: int = 0, limit: int = PAGE_MAX) -> Call[Listed]:
    """Flows of a shard, newest first."""

    def read(reply: Any) -> Listed:
        looked_at, *rest = reply
        flows = tuple(
            read_flow(flow_id.decode(), dict(zip(flat[::2], flat[1::2], strict=True)))
            for flow_id, flat in zip(rest[::2], rest[1::2], strict=True)
        )
        return Listed(flows, looked_at)

    return Call("flow/ls", shard, (offset, min(limit, PAGE_MAX)), read)
