"""Enqueue tasks that wait for others: in their order, without their results."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from coordq.client.draft import Draft, Item, taken_apart
from coordq.engine.call import Call
from coordq.engine.replica import replicated
from coordq.errors import InvalidOption, OtherShard
from coordq.ids import is_id, new_id, shard_of
from coordq.work.enqueue import Order, Receipt
from coordq.work.flow.calls import depend
from coordq.work.flow.plan import Edge
from coordq.work.options import seconds

OPTION: Final = "depends_on"
_APART: Final = {
    "unique": "a task that waits is not ready, and holds no unique key",
    "at": "it starts when they have ended: use delay, which counts from then",
}


def after(
    draft: Draft,
    name: str,
    args: Mapping[str, Any] | None,
    options: Mapping[str, Any],
) -> Call[Receipt]:
    """The call that enqueues a task which waits for those that options["depends_on"] names.

    Raises the InvalidInput errors; the reply raises TaskNotFound for a parent that is not there.
    """
    own = {option: value for option, value in options.items() if option not in (OPTION, "delay")}
    for option, why in _APART.items():
        if own.get(option) is not None:
            raise InvalidOption(f"{option}= does not go with {OPTION}=: {why}.", option=option)
    parents = _ids(options[OPTION])
    delay_ms = math.ceil(seconds("delay", options.get("delay", 0)) * 1000)
    shard = _shard(parents, own.get("id"))
    order = draft.order(name, args, {**own, "id": own.get("id") or new_id(shard)})
    return _call(order, parents, delay_ms)


def after_many(
    draft: Draft, items: Iterable[Item], options: Mapping[str, Any]
) -> list[Call[Receipt]]:
    """One such call for each item, as `enqueue_many` takes them."""
    return [
        after(draft, name, args, {**options, **own}) for name, args, own in map(taken_apart, items)
    ]


def _call(order: Order, parents: list[str], delay_ms: int) -> Call[Receipt]:
    edges = [Edge(parent) for parent in parents]
    made = depend(order, edges, delay_ms=delay_ms, force=order.template.force)

    def read(reply: Any) -> Receipt:
        made.read(reply)
        return Receipt(order.id)

    call = Call(made.script, made.shard, made.args, read)
    if not order.template.durable:
        return call
    return replicated(call, lambda one, replica: one._replace(unconfirmed=not replica))


def _ids(given: Any) -> list[str]:
    """The ids of some tasks, each once. Raises InvalidOption."""
    alone = isinstance(given, str) or hasattr(given, "id")
    if not alone and not isinstance(given, Iterable):
        raise InvalidOption(f"{OPTION}={given!r:.60}: give ids or handles.", option=OPTION)
    found = [getattr(one, "id", one) for one in ((given,) if alone else given)]
    for one in found:
        if not isinstance(one, str) or not is_id(one):
            raise InvalidOption(f"{OPTION}: {one!r:.60} is neither a task's id nor a handle.")
    if not found:
        raise InvalidOption(f"{OPTION} names no task: leave it out.", option=OPTION)
    return list(dict.fromkeys(found))


def _shard(parents: list[str], own: Any) -> int:
    """Where all of them live. Raises OtherShard."""
    ids = [*parents, own] if isinstance(own, str) and is_id(own) else parents
    shards = {shard_of(one) for one in ids}
    if len(shards) > 1:
        raise OtherShard(
            f"{OPTION}: these tasks live on {len(shards)} shards, and none can wait for one on "
            "another: put them in a flow, or give them ids of one shard (coordq.new_id(shard)).",
            option=OPTION,
            ids=ids,
        )
    return shards.pop()
