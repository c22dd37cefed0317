"""Why a flow does not get on: who waits in it, and for what that does not come by itself.

Pure, but for one Call: from a flow that was looked at to words for people. Whoever asks, the
leader mostly, fetches what has to be known of those that are ready or suspended.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from coordq.engine.call import Argument, Call
from coordq.ids import shard_of
from coordq.work.flow.view import FlowView, NodeView
from coordq.work.task import State

SHOWN_MAX: Final = 3
WORDS_MAX: Final = 600
"""Characters of what is told of one flow."""
RETRYING: Final = "retrying"


@dataclass(frozen=True, slots=True)
class Knot:
    """What holds a flow up."""

    sign: str
    """The same as long as it is the same knot, whatever the words for it."""
    words: str


def at_work(view: FlowView) -> bool:
    """Whether something in it goes on by itself: it runs, or a moment will come."""
    return any(node.state in (State.RUNNING, State.SCHEDULED) for node in view.nodes)


def to_ask(view: FlowView, state: State) -> list[NodeView]:
    """The first of those in a state that may be what holds the flow up, oldest first."""
    found = [node for node in view.nodes if node.state == state]
    return sorted(found, key=lambda node: node.since_ms)[: SHOWN_MAX + 1]


def suspended_for(view: FlowView, node: NodeView, fields: Mapping[str, bytes]) -> str | None:
    """What a suspended task waits for, in words; None when that comes to an end by itself.

    fields: what HASH saved:<id> holds.
    """
    since = _moment(node.since_ms)
    if node.kind == "approval":
        return f"waits for somebody to approve it since {since}: `coordq approve {node.id}`"
    if node.kind == "signal":
        return f"waits for a signal since {since}"
    wait = _wait(fields)
    kind = wait.get("kind")
    if kind == "approval":
        key = wait.get("key")
        return f"waits for the approval {key!r} since {since}: `coordq approve {node.id}`"
    if kind == "signal":
        return f"waits for the signal {wait.get('name')!r} since {since}"
    if kind == "tasks" and "until" not in fields:
        return f"waits for {_named(view, wait.get('ids', ()))} since {since}"
    return None


def _wait(fields: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        wait = json.loads(fields.get("wait", b"{}"))
    except ValueError:
        return {}
    return wait if isinstance(wait, dict) else {}


def _named(view: FlowView, ids: Iterable[str]) -> str:
    """Tasks by their keys in the flow, the first of those that have not ended."""
    going = [one for one in ids if one not in view.by_id or not view.by_id[one].ended]
    shown = [view.by_id[one].key if one in view.by_id else one for one in going[:SHOWN_MAX]]
    return ", ".join(shown) + (f" and {len(going) - SHOWN_MAX} more" * (len(going) > SHOWN_MAX))


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def tied(view: FlowView, held: Sequence[tuple[NodeView, str]]) -> Knot | None:
    """The knot of a flow. held: those that nothing moves, each with what it waits for.

    None when something in it may go on by itself.
    """
    if view.state == RETRYING:
        return _knot("retrying", [], "a retry of it was begun and not carried out: retry it again")
    if held:
        said = [f"{node.key} {why}" for node, why in held[:SHOWN_MAX]]
        more = [f"{len(held) - SHOWN_MAX} more"] if len(held) > SHOWN_MAX else []
        return _knot("held", [node for node, _ in held], "; ".join([*said, *more]))
    waiting = [node for node in view.nodes if node.state == State.WAITING]
    if not waiting:
        return None
    names = _named(view, (node.id for node in waiting))
    return _knot("waiting", waiting, f"nothing goes on before {names}: `coordq audit --repair`")


def round_and_round(view: FlowView, node: NodeView, times: int) -> Knot:
    """The knot of a flow of which a task is tried again and again, and nothing ends."""
    last = f"; its last error: {_error(node)}" if node.error else ""
    words = (
        f"{node.key} was seen to begin anew {times} times since a task of the flow ended last, at "
        f"{_moment(view.moved_ms)}{last}"
    )
    return _knot("round", [node], words)


def _error(node: NodeView) -> str:
    error = node.error or {}
    return " ".join(f"{error.get('type', 'error')}: {error.get('message', '')}".split())


def _knot(kind: str, nodes: Sequence[NodeView], words: str) -> Knot:
    # one that goes round is in another state each time
    parts = (node.id + (node.state if kind == "held" else "") for node in nodes)
    text = kind + "".join(sorted(parts))
    sign = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return Knot(sign, words if len(words) <= WORDS_MAX else f"{words[: WORDS_MAX - 3]}...")


def tell(flow_id: str, moved_ms: int, knot: Knot, *, epoch: int | None = None) -> Call[bool]:
    """Write the event `stuck`; false when this knot was told, or the flow has moved since.

    moved_ms: when the flow moved last, as it was seen. epoch: the leader's; None for others. The
    reply raises Deposed.
    """
    words = " ".join(knot.words.split())
    args: tuple[Argument, ...] = (
        "" if epoch is None else epoch,
        flow_id,
        moved_ms,
        knot.sign,
        words,
    )
    return Call("flow/stuck", shard_of(flow_id), args, lambda reply: reply == 1)
