"""Reading from the bus, on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any, Self
from uuid import uuid4

from coordq.bus.causal import Missing
from coordq.bus.envelope import Message
from coordq.bus.group import Group
from coordq.bus.session import reply_to
from coordq.bus.take import hold, take
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
from coordq.client.drive import drive_async
from coordq.client.plan import BLOCK_S
from coordq.clock import monotonic
from coordq.engine import bus_keys, keys
from coordq.engine.aio import AsyncEngine, Line
from coordq.errors import GroupNotFound


class AsyncDelivery:
    """A message that was given to this reader: acknowledge it, or it comes again."""

    __slots__ = ("_arrival", "_number", "_subscription", "message")

    def __init__(self, subscription: AsyncSubscription, arrival: Arrival) -> None:
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

    async def ack(self) -> None:
        """It was handled: this group is never given it again. Also counts when it comes late.

        Acks that are made at the same time travel together.
        """
        if self.share.done():
            try:
                await self._subscription.ack(self.share)
            except BaseException:
                self.share.undo()
                raise

    async def nack(self, delay: float | None = None, *, reason: str = "") -> None:
        """Give it back: it comes again after `delay` seconds, to any reader of the group.

        None: a second, doubled with each delivery, at most a minute. After the last delivery that
        the group allows it is a dead letter, with the reason.
        """
        ms = backoff_ms(checked.timeout("delay", delay), self.message.attempt)
        self._subscription.gave_back(self._arrival)
        await self._give("n", delay_ms=ms, reason=" ".join(reason.split()))

    async def reject(self, reason: str) -> None:
        """It is a dead letter of this group, now."""
        await self._give("d", reason=" ".join(reason.split()))

    async def _give(self, verdict: str, **more: Any) -> None:
        if self.share.finish():
            try:
                await self._subscription.settle(verdicts(verdict, [self.share], **more))
            except BaseException:
                self.share.undo()
                raise

    async def hold(self) -> bool:
        """Keep it for another visibility time; False when another reader has it by now."""
        return await self._subscription.hold(self._arrival)

    async def reply(self, body: Any, *, more: bool = False, sender: str = "") -> None:
        """Answer who asked, and acknowledge; with `more` this is a part, and others will follow.

        Raises InvalidMessage when nobody asked.
        """
        self._number += 1
        how = "part" if more else "last"
        await self._subscription.answer(self.message, body, self._number, how, sender)
        if not more:
            await self.ack()

    async def fail(self, code: str, message: str, *, sender: str = "") -> None:
        """Answer who asked with an error, and acknowledge; there it raises AskFailed."""
        self._number += 1
        error = {"code": code, "message": message}
        await self._subscription.answer(self.message, error, self._number, "error", sender)
        await self.ack()

    def __repr__(self) -> str:
        return f"AsyncDelivery({self.topic!r}, {self.message.id!r}, {self.message.attempt=})"


class AsyncSubscription:
    """A reader of a group. Iterate over it; close it, or use it with `async with`."""

    def __init__(self, engine: AsyncEngine, group: Group, reader: str, prefetch: int) -> None:
        self._engine = engine
        self._tray = Tray(group, reader, prefetch)
        self._pumps: list[asyncio.Task[None]] = []
        self._came = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._acks: list[Share] = []
        self._acking: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        self._closed = False
        self._opened = False

    @property
    def group(self) -> Group:
        """The group that is read."""
        return self._tray.group

    async def open(self) -> Self:
        """Make the group. Called by itself when the first message is asked for."""
        if not self._opened:
            self._opened = True
            plan = bus_plans.subscribe(
                self._engine.shards, self.group, only_new=not self.group.patterns
            )
            await drive_async(self._engine, plan)
        return self

    def _start(self) -> None:
        if not self._pumps and not self._closed:
            shards = range(self._engine.shards)
            self._pumps = [asyncio.create_task(self._pump(shard)) for shard in shards]

    async def _pump(self, shard: int) -> None:
        """Take what comes on a shard, as long as there is room for it."""
        line = await self._engine.dedicated(shard)
        key = bus_keys.marker(keys.root(self._engine.namespace, shard), self.group.name)
        try:
            while True:
                await self._room.wait()
                block_s = await self._take(line, shard)
                if block_s > 0:
                    await line.block("BZPOPMIN", key, timeout_s=block_s)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whoever iterates raises it
            self._error = error
            self._came.set()
        finally:
            await line.close()

    async def _take(self, line: Line, shard: int) -> float:
        """Ask once; for how long to block, 0 when there may be more."""
        taken = await line.run(self._tray.ask(shard, self._tray.prefetch - len(self._tray.arrived)))
        if taken.missing:
            await self._come_back()
        foreign = self._tray.put(shard, taken)
        if foreign:
            await self.settle({shard: foreign})
        if self._tray.arrived:
            self._came.set()
            if len(self._tray.arrived) >= self._tray.prefetch:
                self._room.clear()
        if taken.given or taken.more:
            return 0.0
        usual = EVENTS_EVERY_S if self.group.tells else BLOCK_S  # events leave no marks
        due = taken.next_due_ms
        return usual if due is None else max(0.001, min(usual, due / 1000))

    async def _come_back(self) -> None:
        if not self.group.ephemeral:
            raise GroupNotFound(
                f"Group {self.group.name!r} has ended, or was abandoned while nobody read: "
                "subscribe again.",
                group=self.group.name,
            )
        # it was away for so long that it was given up
        await drive_async(self._engine, bus_plans.subscribe(self._engine.shards, self.group))

    async def receive(self, timeout: float | None = None) -> AsyncDelivery | None:
        """The next message; None when none has come within `timeout` seconds (None: for ever)."""
        found = await self.receive_many(1, timeout)
        return found[0] if found else None

    async def receive_many(
        self, most: int = 100, timeout: float | None = None
    ) -> list[AsyncDelivery]:
        """Up to `most` messages, as soon as there is one; [] when none has come in time."""
        limit = checked.timeout("timeout", timeout)
        await self.open()
        self._start()
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while not self._closed:
                    found = await self._from_tray(most)
                    if found:
                        return found
                    if self._error is not None:
                        await self._raise()
                    await self._came.wait()
        return []

    async def _raise(self) -> None:
        """Raise what ended a pump. Whoever asks again starts anew."""
        error, self._error = self._error, None
        pumps, self._pumps = self._pumps, []
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        if error is not None:
            raise error

    async def _from_tray(self, most: int) -> list[AsyncDelivery]:
        found: list[Arrival] = []
        tray = self._tray
        try:
            while tray.arrived and len(found) < most:
                found.append(tray.arrived.popleft())
                if found[-1].share.since < tray.stale_since() and not await self.hold(found[-1]):
                    tray.gave_back(found.pop())
        except BaseException:  # its caller's time was over, say: who asks next is given them
            tray.arrived.extendleft(reversed(found))
            self._came.set()
            raise
        for arrival in found:
            tray.handed_out(arrival)
        if not self._tray.arrived and self._error is None:
            self._came.clear()
        if len(self._tray.arrived) <= self._tray.prefetch // 2:
            self._room.set()
        return [AsyncDelivery(self, arrival) for arrival in found]

    async def ack_many(self, deliveries: Sequence[AsyncDelivery]) -> None:
        """Acknowledge many in one round trip."""
        done = [each.share for each in deliveries if each.share.done()]
        await self.settle(verdicts("a", done))

    async def ack(self, share: Share) -> None:
        """Acknowledge an entry, together with others that come while a call is on its way."""
        self._acks.append(share)
        if self._acking is None:
            self._acking = asyncio.ensure_future(self._flush_acks())
        await asyncio.shield(self._acking)

    async def _flush_acks(self) -> None:
        await asyncio.sleep(0)  # those who are ready to run at this moment come along
        shares, self._acks, self._acking = self._acks, [], None
        await self.settle(verdicts("a", shares))

    async def settle(self, settled: Settled) -> None:
        """Tell Redis what became of messages."""
        for shard, each in settled.items():
            nonce = uuid4().hex
            await self._engine.run(
                take(shard, self._tray.reader, (), want=0, nonce=nonce, settled=each)
            )

    async def hold(self, arrival: Arrival) -> bool:
        """Keep a message for another visibility time; False when it is not this reader's now."""
        share = arrival.share
        if await self._engine.run(hold(share.shard, self._tray.reader, [share.given])) == 0:
            return False
        share.since = monotonic()
        return True

    def gave_back(self, arrival: Arrival) -> None:
        """It was not handled, and comes again."""
        self._tray.gave_back(arrival)

    async def answer(self, message: Message, body: Any, number: int, how: str, sender: str) -> None:
        """Send a reply. Raises InvalidMessage when nobody asked."""
        group, nonce = self.group.name, uuid4().hex
        await self._engine.run(
            reply_to(message, body, group, number=number, how=how, sender=sender, nonce=nonce)
        )

    async def __aiter__(self) -> AsyncIterator[AsyncDelivery]:
        while not self._closed:
            delivery = await self.receive()
            if delivery is not None:
                yield delivery

    async def close(self) -> None:
        """Give back what was not handed out; a group of this reader's own ends."""
        if self._closed:
            return
        self._closed = True
        self._came.set()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        await self.settle(self._tray.rest())
        for shard in range(self._engine.shards):  # what is held comes to others at once
            await self._engine.run(self._tray.leave(shard))
        if self.group.ephemeral and self._opened:
            with suppress(GroupNotFound):
                plan = bus_plans.unsubscribe(self._engine.shards, self.group.name)
                await drive_async(self._engine, plan)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()
