"""Looking at how a flow gets on, written once for both clients."""

from __future__ import annotations

import json

from coordq import clock
from coordq.client.plan import Command, Plan, chunks
from coordq.engine import keys
from coordq.ids import shard_of
from coordq.work.flow.critical import read_pace
from coordq.work.flow.outlook import BUSY, Outlook, outlook
from coordq.work.flow.view import FlowView
from coordq.work.progress import Progress, read_progress


def look_ahead(namespace: str, seen: Plan[FlowView]) -> Plan[Outlook]:
    """A flow, what runs of it, and what is to be expected. seen: gets it with its tasks."""
    view = yield from seen
    shard = shard_of(view.id)
    root = keys.root(namespace, shard)
    flat: list[bytes] = yield Command(shard, ("HGETALL", keys.pace(root)))
    pairs = zip(flat[::2], flat[1::2], strict=True)
    said: dict[str, Progress | None] = {}
    for ids in chunks([node.id for node in view.nodes if node.state in BUSY]):
        names = (keys.progress(root, task_id) for task_id in ids)
        texts: list[bytes | None] = yield Command(shard, ("MGET", *names))
        said |= {task_id: _read(text) for task_id, text in zip(ids, texts, strict=True)}
    return outlook(view, pace=read_pace(dict(pairs)), progress=said, now_ms=clock.now_ms())


def _read(text: bytes | None) -> Progress | None:
    try:
        facts = json.loads(text or b"null")
    except ValueError:
        return None
    return read_progress(facts) if isinstance(facts, dict) else None
