"""From what a caller says to an order that can be sent: checked, encoded, with an id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any
from zlib import crc32

from coordq.errors import InvalidArguments, InvalidOption
from coordq.ids import new_id, shard_of
from coordq.work.enqueue import Order
from coordq.work.options import Template
from coordq.work.payload import dump_args
from coordq.work.templates import Templates

Item = (
    tuple[str, Mapping[str, Any] | None] | tuple[str, Mapping[str, Any] | None, Mapping[str, Any]]
)


class Draft:
    """Makes orders for one namespace. Thread-safe."""

    def __init__(self, shards: int) -> None:
        self.shards = shards
        self._turn = count()
        self._templates = Templates()

    def order(self, name: str, args: Any, options: dict[str, Any], *, mailbox: str = "") -> Order:
        """An order for one task. Raises the InvalidInput errors."""
        if not options:
            found = self._templates.plain(name)
            if self.shards == 1:
                return Order(new_id(0), found, dump_args(name, args), mailbox)
        else:
            found = self._templates.of(name, options)
        task_id = options.get("id") or new_id(self._shard(found))
        if shard_of(task_id) >= self.shards:
            raise InvalidOption(
                f"id={task_id!r} is of shard {shard_of(task_id)}; there are {self.shards}.",
                option="id",
            )
        return Order(task_id, found, dump_args(name, args), mailbox)

    def orders(self, items: Iterable[Item], options: dict[str, Any]) -> list[Order]:
        """Orders for `(name, args)` or `(name, args, own options)` items."""
        try:
            listed = iter(items)
        except TypeError as error:
            raise InvalidArguments(
                f"enqueue_many takes a collection of (name, args), not {items!r:.80}."
            ) from error
        return [self._order_of(item, options) for item in listed]

    def _order_of(self, item: Item, options: dict[str, Any]) -> Order:
        match item:
            case (name, args):
                return self.order(name, args, options)
            case (name, args, Mapping() as own):
                return self.order(name, args, {**options, **_texts(own)})
            case _:
                raise _no_item(item)

    def _shard(self, found: Template) -> int:
        """Equal unique keys, and tasks of one limit, meet on one shard; all else takes turns."""
        if self.shards == 1:
            return 0
        if found.spec.unique:
            return crc32(found.spec.unique.encode()) % self.shards
        if found.spec.limits:
            return crc32(found.spec.limits[0].encode()) % self.shards
        return next(self._turn) % self.shards


def taken_apart(item: Item) -> tuple[str, Any, Mapping[str, Any]]:
    """Name, arguments and own options of an item. Raises InvalidArguments, InvalidOption."""
    match item:
        case (name, args):
            return name, args, {}
        case (name, args, Mapping() as own):
            return name, args, _texts(own)
    raise _no_item(item)


def _no_item(item: object) -> InvalidArguments:
    return InvalidArguments(
        f"enqueue_many takes (name, args) or (name, args, options), not {item!r:.80}."
    )


def _texts(own: Mapping[Any, Any]) -> Mapping[str, Any]:
    for option in own:
        if not isinstance(option, str):
            raise InvalidOption(f"There is no option {option!r}: options are text.", option=option)
        if option == "depends_on":
            raise InvalidOption(
                "depends_on= is said for all that enqueue_many is given: enqueue this one by "
                "itself, or make a flow.",
                option=option,
            )
    return own
