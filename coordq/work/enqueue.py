"""Put tasks where they belong: one, or up to 500 in a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from coordq.engine.call import Argument, Call
from coordq.engine.replica import WAIT_S, replicated
from coordq.errors import DuplicateTask, NotReplicated, QueueFull, ScriptMisuse
from coordq.ids import shard_of
from coordq.work.options import Template

BULK_MAX: Final = 500
RETRY_AFTER_S: Final = 1.0


class Order(NamedTuple):
    """A task to be enqueued."""

    id: str
    template: Template
    args: bytes
    """A JSON object, from `payload.dump_args`."""
    mailbox: str = ""
    """Who shall hear of its end, see `look.watch`."""


class Receipt(NamedTuple):
    """What became of an order."""

    id: str
    """The task's id; that of the first task when a unique key was held."""
    created: bool = True
    no_room: bool = False
    """The queue is full and the order asked to wait: nothing happened yet."""
    shed: bool = False
    """The queue was full of more urgent work: the task is a dead letter."""
    unconfirmed: bool = False
    """A replica was asked for, and none has confirmed the task in time."""


def enqueue(order: Order, *, on_full: str | None = None) -> Call[Receipt]:
    """Enqueue one. The reply raises QueueFull when the order asked for that."""
    template = order.template
    mode = on_full or template.on_full
    args = (
        _mode(mode, template),
        *template.head,
        order.mailbox,
        1,
        order.id,
        order.args,
    )

    def read(reply: Any) -> Receipt:
        if reply[1] == b"+":
            return Receipt(order.id)
        return _read_all(reply, [order])[0]

    call = Call(_script(mode), shard_of(order.id), args, read)
    return replicated(call, _confirm) if template.durable else call


def _confirm(receipt: Receipt, replica: bool) -> Receipt:  # noqa: FBT001 - as replicated wants it
    return receipt if replica else receipt._replace(unconfirmed=True)


def _mode(on_full: str, template: Template) -> str:
    """As work/enqueue takes it: with a "!" it insists, also while the fleet is read-only."""
    return f"{on_full}!" if template.force else on_full


def _script(on_full: str) -> str:
    return "work/enqueue_shedding" if on_full == "shed" else "work/enqueue"


def enqueue_many(orders: Sequence[Order], *, on_full: str) -> Call[list[Receipt]]:
    """Enqueue up to 500 orders of one shard and kin in one call.

    on_full "refuse" is all or nothing, and the reply raises QueueFull; "wait" takes as many as fit
    and marks the rest `no_room`.
    """
    args: list[Argument] = [_mode(on_full, orders[0].template)]
    template, mailbox, amount, amount_at = None, "", 0, 0
    for order in orders:
        if order.template is not template or order.mailbox != mailbox:
            template, mailbox = order.template, order.mailbox
            args += template.head
            amount, amount_at = 0, len(args) + 1
            args += (mailbox, 0)
        amount += 1
        args[amount_at] = amount
        args += (order.id, order.args)
    call = Call(
        _script(on_full),
        shard_of(orders[0].id),
        tuple(args),
        lambda reply: _read_all(reply, orders),
    )
    if not orders[0].template.durable:
        return call
    return replicated(call, lambda receipts, replica: [_confirm(one, replica) for one in receipts])


def _read_all(reply: Any, orders: Sequence[Order]) -> list[Receipt]:
    if reply[0] == b"full":
        raise queue_full(reply)
    if reply.count(b"+") == len(orders):
        return [Receipt(order.id) for order in orders]
    return [_receipt(order, answer) for order, answer in zip(orders, reply[1:], strict=True)]


def queue_full(reply: Any) -> QueueFull:
    """The error for a refusal by work/enqueue."""
    name, depth, high = reply[1].decode(), int(reply[2]), int(reply[3])
    size, max_bytes = int(reply[4]), int(reply[5])
    limit = f"{depth} of {high} tasks" if high else f"{size:,} of {max_bytes:,} bytes"
    return QueueFull(
        f"Queue {name!r} is full: {limit} are waiting. Try again in about {RETRY_AFTER_S:g} s, add "
        "workers, or raise the mark with `coordq queue limit`.",
        queue=name,
        depth=depth,
        high=high,
        bytes=size,
        retry_after=RETRY_AFTER_S,
    )


def _receipt(order: Order, answer: bytes) -> Receipt:
    if answer == b"+":
        return Receipt(order.id)
    if answer == b"-":
        return Receipt(order.id, created=False, no_room=True)
    if answer == b"!":
        return Receipt(order.id, shed=True)
    if answer[:1] != b"=":
        raise ScriptMisuse(f"work/enqueue answered {answer!r}, which this version does not know.")
    return Receipt(answer[1:].decode(), created=False)


def check_replicated(receipts: Sequence[Receipt]) -> None:
    """Raise NotReplicated for those that no replica has confirmed."""
    ids = [receipt.id for receipt in receipts if receipt.unconfirmed and not receipt.no_room]
    if not ids:
        return
    what = f"task {ids[0]}" if len(ids) == 1 else f"{len(ids)} tasks"
    raise NotReplicated(
        f"No replica confirmed {what} within {WAIT_S:g} s. What was enqueued is on the primary and "
        "will run unless that is lost before a replica has caught up: go on, or enqueue it again "
        "with the same id or unique key, which has one effect.",
        ids=ids,
    )


def check_duplicate(order: Order, receipt: Receipt) -> None:
    """Raise DuplicateTask when the order wanted that and its unique key was held."""
    if receipt.created or receipt.no_room or not order.template.reject:
        return
    raise DuplicateTask(
        f"Task {receipt.id} already holds this unique key for {order.template.spec.name!r}. "
        'Wait for it, or enqueue with on_duplicate="return" to get its handle.',
        id=receipt.id,
    )
