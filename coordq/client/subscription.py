"""Reading from the bus, for code that blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from threading import RLock
from typing import Any, Self
from uuid import uuid4

from coordq.bus.causal import Missing
from coordq.bus.envelope import Message
from coordq.bus.group import Group
from coordq.bus.session import reply_to
from coordq.bus.take import Taken, hold, take
from coordq.client import bus_plans, checked
from coordq.client.delivery import (
    EVENTS_EVERY_S,
    Arrival,
    Settled,
    Share,
    Tray,
    backoff_ms,
    verdicts,
)
from coordq.client.drive import drive
from coordq.client.plan import BLOCK_S
from coordq.clock import monotonic
from coordq.engine import bus_keys, keys
from coordq.engine.call import blocking
from coordq.engine.connection import Engine
from coordq.errors import GroupNotFound


class Delivery:
    """A message that was given to this reader: acknowledge it, or it comes again."""

    __slots__ = ("_arrival", "_number", "_subscription", "message")

    def __init__(self, subscription: Subscription, arrival: Arrival) -> None:
        self._subscription = subscription
        self._arrival = arrival
        self._number = 0
        self.message: Message = arrival.message

    @property
    def share(self) -> Share:
        """What it is settled with."""
        return self._arrival.share

    @property
    def body(self) -> Any:
        """What the message says."""
        return self.message.body

    @property
    def topic(self) -> str:
        """Where it was published."""
        return self.message.channel

    @property
    def group(self) -> str:
        """As which group it was read."""
        return self._arrival.share.given.group

    @property
    def missing(self) -> tuple[Missing, ...]:
        """In causal order: what it comes after, and what was lost or did not come in time."""
        return self._arrival.missing

    def ack(self) -> None:
        """It was handled: this group is never given it again. Also counts when it comes late."""
        if self.share.done():
            self._settle("a")

    def nack(self, delay: float | None = None, *, reason: str = "") -> None:
        """Give it back: it comes again after `delay` seconds, to any reader of the group.

        None: a second, doubled with each delivery, at most a minute. After the last delivery that
        the group allows it is a dead letter, with the reason.
        """
        ms = backoff_ms(checked.timeout("delay", delay), self.message.attempt)
        self._subscription.gave_back(self._arrival)
        self._give("n", delay_ms=ms, reason=" ".join(reason.split()))

    def reject(self, reason: str) -> None:
        """It is a dead letter of this group, now."""
        self._give("d", reason=" ".join(reason.split()))

    def _give(self, verdict: str, **more: Any) -> None:
        if self.share.finish():
            self._settle(verdict, **more)

    def _settle(self, verdict: str, **more: Any) -> None:
        try:
            self._subscription.settle(verdicts(verdict, [self.share], **more))
        except BaseException:
            self.share.undo()
            raise

    def hold(self) -> bool:
        """Keep it for another visibility time; False when another reader has it by now."""
        return self._subscription.hold(self._arrival)

    def reply(self, body: Any, *, more: bool = False, sender: str = "") -> None:
        """Answer who asked, and acknowledge; with `more` this is a part, and others will follow.

        Raises InvalidMessage when nobody asked.
        """
        self._number += 1
        how = "part" if more else "last"
        self._subscription.answer(self.message, body, self._number, how, sender)
        if not more:
            self.ack()

    def fail(self, code: str, message: str, *, sender: str = "") -> None:
        """Answer who asked with an error, and acknowledge; there it raises AskFailed."""
        self._number += 1
        error = {"code": code, "message": message}
        self._subscription.answer(self.message, error, self._number, "error", sender)
        self.ack()

    def __repr__(self) -> str:
        return f"Delivery({self.topic!r}, {self.message.id!r}, attempt={self.message.attempt})"


class Subscription:
    """A reader of a group. Thread-safe. Close it, or use it with `with`; iterate over it."""

    def __init__(self, engine: Engine, group: Group, reader: str, prefetch: int) -> None:
        self._engine = engine
        self._tray = Tray(group, reader, prefetch)
        self._lock = RLock()
        self._turn = 0
        self._closed = False
        drive(engine, bus_plans.subscribe(engine.shards, group, only_new=not group.patterns))

    @property
    def group(self) -> Group:
        """The group that is read."""
        return self._tray.group

    def receive(self, timeout: float | None = None) -> Delivery | None:
        """The next message; None when none has come within `timeout` seconds (None: for ever)."""
        found = self.receive_many(1, timeout)
        return found[0] if found else None

    def receive_many(
        self, most: int = 100, timeout: float | None = None, *, ack: Sequence[Delivery] = ()
    ) -> list[Delivery]:
        """Up to `most` messages, as soon as there is one; [] when none has come in time.

        ack: what was handled is acknowledged in the same round trip.
        """
        limit = checked.timeout("timeout", timeout)
        deadline = None if limit is None else monotonic() + limit
        settled = verdicts("a", [each.share for each in ack if each.share.done()])
        with self._lock:
            while True:
                found = self._from_tray(most)
                if found and settled:
                    self.settle(settled)
                if found:
                    return found
                wait = self._take(most, settled)
                settled = {}
                if self._tray.arrived:
                    continue
                left = BLOCK_S if deadline is None else deadline - monotonic()
                if left <= 0:
                    return []
                self._block(min(left, wait))

    def _from_tray(self, most: int) -> list[Delivery]:
        found: list[Arrival] = []
        tray, arrived, stale = self._tray, self._tray.arrived, self._tray.stale_since()
        try:
            while arrived and len(found) < most:
                found.append(arrived.popleft())
                if found[-1].share.since < stale and not self.hold(found[-1]):
                    tray.gave_back(found.pop())
        except BaseException:  # Redis did not answer, say: who asks next is given them
            arrived.extendleft(reversed(found))
            raise
        for arrival in found:
            tray.handed_out(arrival)
        return [Delivery(self, arrival) for arrival in found]

    def _take(self, most: int, settled: Settled) -> float:
        """Ask every shard in turn; how long to block when nothing has come, in seconds."""
        wait_s, want = BLOCK_S, max(self._tray.prefetch, most)
        for shard in range(self._engine.shards):
            call = self._tray.ask(shard, want, settled.get(shard, ()))
            taken: Taken = self._engine.run(call)
            self._check(taken)
            self.settle({shard: self._tray.put(shard, taken)})
            if taken.next_due_ms is not None:
                wait_s = min(wait_s, taken.next_due_ms / 1000)
        return wait_s

    def _check(self, taken: Taken) -> None:
        if not taken.missing:
            return
        if self.group.ephemeral:  # it was away for so long that it was given up
            drive(self._engine, bus_plans.subscribe(self._engine.shards, self.group))
            return
        raise GroupNotFound(
            f"Group {self.group.name!r} has ended, or was abandoned while nobody read: subscribe "
            "again.",
            group=self.group.name,
        )

    def _block(self, wait_s: float) -> None:
        """Until a mark comes, on one shard after the other."""
        shards = self._engine.shards
        self._turn = (self._turn + 1) % shards
        block = max(0.001, wait_s / shards if shards > 1 else wait_s)
        if self.group.tells:  # events leave no marks
            block = min(block, EVENTS_EVERY_S)
        key = bus_keys.marker(keys.root(self._engine.namespace, self._turn), self.group.name)
        self._engine.execute(self._turn, "BZPOPMIN", key, blocking(block), timeout_s=block)

    def __iter__(self) -> Iterator[Delivery]:
        while not self._closed:
            delivery = self.receive(BLOCK_S)
            if delivery is not None:
                yield delivery

    def settle(self, settled: Settled) -> None:
        """Tell Redis what became of messages."""
        for shard, each in settled.items():
            if each:
                nonce = uuid4().hex
                self._engine.run(
                    take(shard, self._tray.reader, (), want=0, nonce=nonce, settled=each)
                )

    def hold(self, arrival: Arrival) -> bool:
        """Keep a message for another visibility time; False when it is not this reader's now."""
        share = arrival.share
        if self._engine.run(hold(share.shard, self._tray.reader, [share.given])) == 0:
            return False
        share.since = monotonic()
        return True

    def gave_back(self, arrival: Arrival) -> None:
        """It was not handled, and comes again."""
        self._tray.gave_back(arrival)

    def answer(self, message: Message, body: Any, number: int, how: str, sender: str) -> None:
        """Send a reply. Raises InvalidMessage when nobody asked."""
        group, nonce = self.group.name, uuid4().hex
        self._engine.run(
            reply_to(message, body, group, number=number, how=how, sender=sender, nonce=nonce)
        )

    def close(self) -> None:
        """Give back what was not handed out; a group of this reader's own ends."""
        if self._closed:
            return
        self._closed = True
        with self._lock:
            self.settle(self._tray.rest())
            for shard in range(self._engine.shards):  # what is held comes to others at once
                self._engine.run(self._tray.leave(shard))
            if self.group.ephemeral:
                with suppress(GroupNotFound):
                    drive(self._engine, bus_plans.unsubscribe(self._engine.shards, self.group.name))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
