"""A producer: enqueues and sends what its seed says, and writes down what was acknowledged.

A program of its own. It repeats a batch, with the same ids, until Redis has taken it; what is in
its journal as `ack` must never be lost. Started anew after a kill, it goes on where its journals
end.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import coordq
from coordq import clock
from coordq.client.client import Client
from coordq.client.work import TaskHandle
from coordq.errors import CoordqError, InvalidInput
from coordq.interfaces.chaos.chatter import Chatter
from coordq.interfaces.chaos.composer import Composer
from coordq.interfaces.chaos.insist import RETRY_S, insist
from coordq.interfaces.chaos.journal import Journal, all_lines, moment_ms
from coordq.interfaces.chaos.load import Wish, wishes
from coordq.interfaces.chaos.order import Order

Handle = TaskHandle[Any]
Item = tuple[str, dict[str, Any], dict[str, Any]]
TICK_S: Final = 0.05
BATCH_MAX: Final = 200
SINGLES: Final = 5
"""So many tasks of a batch are enqueued one by one."""


class Producer:
    """One life of a producer."""

    def __init__(self, order: Order) -> None:
        self._order = order
        folder = Path(order.folder)
        own = f"producer-{order.number}-"
        told = [(line[0], line[1]) for line in all_lines(folder, f"{own}*.journal")]
        kinds = Counter(kind for kind, _ in told)
        self.done = kinds["ack"]
        self._drawn = self.done + kinds["dup"]
        self._journal = Journal(folder / f"{own}{os.getpid()}-{moment_ms()}.journal")
        started = {flow_id for kind, flow_id in told if kind == "fak"}
        self._composer = Composer(folder / f"{own}flow", self._journal, started)
        sent = kinds["mak"] + kinds["sak"]
        self._chatter = Chatter(order.seed, order.number, self._journal, sent)
        self._wishes = islice(
            wishes(order.seed, order.number, producers=order.producers, lease_s=order.lease_s),
            self._drawn,
            None,
        )

    def run(self) -> None:
        """Enqueue everything, at the pace that was asked for."""
        order, began, before = self._order, clock.monotonic(), self.done
        with self._connected() as client:
            while self.done < order.tasks:
                self._keep_up(client)
                due = before + int((clock.monotonic() - began) * order.rate) + 1
                amount = min(BATCH_MAX, due - self.done, order.tasks - self.done)
                if amount > 0:
                    self._enqueue(client, list(islice(self._wishes, amount)))
                time.sleep(TICK_S)
            self._keep_up(client)
            self._chatter.finish(client)

    def _keep_up(self, client: Client) -> None:
        order = self._order
        self._composer.keep_up(client, self.done, share=order.flows, durability=order.durability)
        self._chatter.keep_up(client, self.done, share=order.messages)

    def _connected(self) -> Client:
        while True:
            try:
                return coordq.connect(self._order.url, namespace=self._order.namespace)
            except InvalidInput:
                raise
            except CoordqError:
                time.sleep(RETRY_S)

    def _enqueue(self, client: Client, batch: list[Wish]) -> None:
        shards = client.engine.shards
        items: list[Item] = []
        for at, wish in enumerate(batch):
            task_id = coordq.new_id(_shard(wish, self._drawn + at, shards))
            own = {"id": task_id, "durability": self._order.durability}
            items.append((wish.name, wish.args, wish.options | own))
        keys = [str(options.get("unique", "-")) for _, _, options in items]
        self._journal.write_all(
            [
                ("try", options["id"], key, ",".join(options.get("limits", ())) or "-")
                for (_, _, options), key in zip(items, keys, strict=True)
            ]
        )
        handles: list[Handle] = []
        for first in [*range(min(SINGLES, len(items))), SINGLES]:
            part = slice(first, first + 1 if first < SINGLES else None)
            asked_ms = moment_ms()
            came = insist(partial(_enqueue, client, items[part]))
            self._acknowledged(came, batch[part], keys[part], asked_ms)
            handles += came
        for handle, wish in zip(handles, batch, strict=True):
            if wish.cancel:
                self._cancel(client, handle.id)

    def _acknowledged(
        self, handles: list[Handle], wishes: list[Wish], keys: list[str], asked_ms: int
    ) -> None:
        """What Redis has taken; a task whose unique key another holds was never one."""
        now = moment_ms()
        self._journal.write_all(
            [
                ("ack" if handle.created else "dup", handle.id, wish.name, key, asked_ms, now)
                for handle, wish, key in zip(handles, wishes, keys, strict=True)
            ]
        )
        self._drawn += len(handles)
        self.done += sum(handle.created for handle in handles)

    def _cancel(self, client: Client, task_id: str) -> None:
        try:
            answer = client.work.cancel(task_id, reason="changed my mind")
        except CoordqError as error:
            self._journal.write("off", task_id, error.code)
        else:
            self._journal.write("off", task_id, getattr(answer, "value", answer))


def _shard(wish: Wish, number: int, shards: int) -> int:
    """Equal unique keys, and tasks of one limit, must meet on one; all else takes turns."""
    if "unique" in wish.options:
        return 0
    if "limits" in wish.options:
        return crc32(wish.options["limits"][0].encode()) % shards
    return number % shards


def _enqueue(client: Client, items: list[Item]) -> list[Handle]:
    """One by the call for one, more by the call for many."""
    if len(items) != 1:
        return client.work.enqueue_many(items)
    name, args, options = items[0]
    return [client.work.enqueue(name, args, **options)]


if __name__ == "__main__":
    Producer(Order.from_text(sys.argv[1])).run()
