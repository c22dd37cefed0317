"""The bus door of the async client: the operations of `bus.py`, awaitable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from coordq.bus.bounds import Bound
from coordq.bus.causal import Causal
from coordq.bus.dead import DeadMessage
from coordq.bus.envelope import Parcel
from coordq.bus.group import Group
from coordq.bus.look import ChannelView, GroupView
from coordq.bus.reply import Reply
from coordq.bus.topic import BROADCAST, mailbox
from coordq.client import arranged, asking, bus_plans, checked, posting
from coordq.client.causal import in_order, post, publisher, turn_async
from coordq.client.causal_subscription_async import AsyncCausalSubscription
from coordq.client.delivery import PREFETCH, reader_group, reader_name
from coordq.client.drive import drive_async
from coordq.client.post_office import PostOffice
from coordq.client.posting import WAIT_S, Item, Published, Terms
from coordq.client.replies import Replies
from coordq.client.subscription_async import AsyncSubscription
from coordq.engine.aio import AsyncEngine
from coordq.fleet.topology.view import View

if TYPE_CHECKING:
    from coordq.client.nearest import Routed
    from coordq.client.routing_async import AsyncRouting


class AsyncBus:
    """Messages of a namespace: published, read, answered; for one event loop."""

    def __init__(
        self,
        engine: AsyncEngine,
        routing: AsyncRouting,
        view: Callable[[], Awaitable[View]] | None = None,
    ) -> None:
        self._engine = engine
        self._routing = routing
        self._view = view
        self._office = PostOffice(engine)
        self._replies = Replies(engine)

    # -- sending -------------------------------------------------------------------------------

    async def publish(
        self,
        topic: str,
        body: Any,
        /,
        *,
        when_full: str = "wait",
        timeout: float | None = WAIT_S,
        once: bool = False,
        causal: Causal | None = None,
        **envelope: Any,
    ) -> Published:
        """Publish to a topic: each group that asks for it is given the message.

        Options and errors are those of the sync client's `publish`. Messages that are published at
        the same time travel together.
        """
        how = posting.one(when_full, timeout, once, envelope)
        if self._view is not None and arranged.concerns(topic, envelope):
            envelope = arranged.allowed(await self._view(), topic, envelope)
        parcel = posting.draft(self._engine.shards, topic, body, envelope)
        if how.once or causal is not None:  # in a call of its own
            return (await self._post([parcel], how, causal))[0]
        posted = await self._office.add(parcel, how.mode)
        if posted.full and how.mode == "wait":
            return (await self._post([parcel], how))[0]
        return posting.settle([parcel], [posted], how)[0]

    def id_of(self, channel: str, origin: str, key: str, /) -> str:
        """The id of the message that `origin`, an id mostly, sends to a channel under `key`.

        As the sync client's `id_of`; asks nobody.
        """
        return posting.id_of(channel, origin, key, self._engine.shards)

    async def _post(
        self, parcels: Sequence[Parcel], how: Terms, causal: Causal | None = None
    ) -> list[Published]:
        whose = publisher(causal, how)
        async with turn_async(whose):
            plan = post(self._engine.namespace, self._engine.shards, parcels, how, whose)
            return await drive_async(self._engine, plan)

    async def publish_many(
        self,
        items: Iterable[Item],
        /,
        *,
        when_full: str = "wait",
        timeout: float | None = WAIT_S,
        causal: Causal | None = None,
        **envelope: Any,
    ) -> list[Published]:
        """Publish `(topic, body)` or `(topic, body, envelope)`, in order; 500 go in one call.

        Options and errors are those of `publish`; `timeout` is for each call. ChannelFull names the
        ids that found no room; all others are published, but with `causal` none behind the first.
        """
        how = posting.terms(when_full, timeout)
        items = list(items)
        if self._view is not None and arranged.any_concerns(items, envelope):
            items = [*arranged.all_allowed(await self._view(), items, envelope)]
        parcels = posting.drafts(self._engine.shards, items, envelope)
        return await self._post(parcels, how, causal)

    async def send(self, agent: str, body: Any, /, **options: Any) -> Published:
        """Send to an agent's mailbox; options as in `publish`. Raises also AgentNotFound."""
        return await self.publish(mailbox(agent), body, **options)

    async def broadcast(self, body: Any, /, **options: Any) -> Published:
        """Send to every agent that has a mailbox; options as in `publish`."""
        return await self.publish(BROADCAST, body, **options)

    async def route(
        self,
        text: str,
        body: Any,
        /,
        *,
        top: int = 1,
        threshold: float | None = None,
        fallback: str | None = None,
        when_full: str = "wait",
        timeout: float | None = WAIT_S,
        **envelope: Any,
    ) -> Routed:
        """Send to the agents whom a text concerns, by interests and capabilities: the nearest ones.

        Options and errors are those of the sync client's `route`.
        """
        from coordq.client.nearest import Errand, wish

        how = posting.terms(when_full, timeout)
        asked = wish(text, body, envelope, how, top=top, threshold=threshold, fallback=fallback)
        view = await self._view() if self._view is not None and asked.sender else None
        errand = Errand(asked, self._routing.compass, view)
        where = self._engine.namespace, self._engine.shards
        while errand.routed is None:
            decision = await self._routing.route(text, among=errand.among)
            await drive_async(self._engine, errand.carry_out(decision, where))
        return errand.routed

    # -- asking --------------------------------------------------------------------------------

    async def ask(self, to: str, body: Any, /, *, timeout: float = 30.0, **options: Any) -> Any:
        """Ask an agent, or whoever reads a topic (one with a dot, or `topic:<word>`): the answer.

        Of several groups that answer, the first counts. Raises WaitTimeout after `timeout` seconds,
        AskFailed, AgentNotFound, GroupNotFound when nobody reads the topic, and as `publish`.
        """
        async for answer in self.ask_parts(to, body, timeout=timeout, **options):
            last = answer
        return last.body

    async def ask_parts(
        self, to: str, body: Any, /, *, timeout: float = 30.0, **options: Any
    ) -> AsyncIterator[Reply]:
        """As `ask`, part by part as they come; the last one has how == "last".

        timeout: seconds for each part.
        """
        limit_s = asking.limit(timeout)
        extra = asking.envelope(self._replies.address, limit_s, options)
        parcel_id = posting.fresh_id(asking.channel_of(to), self._engine.shards)
        with self._replies.expect(parcel_id) as arrivals:
            published = await self.publish(asking.channel_of(to), body, id=parcel_id, **extra)
            asking.check_heard(to, published)
            collected = asking.Answers(published.id, to, limit_s)
            while not collected.ended:
                for part in collected.take(await arrivals.next(limit_s, collected.too_late)):
                    yield part

    # -- reading -------------------------------------------------------------------------------

    def subscribe(
        self,
        *patterns: str,
        group: str | None = None,
        reader: str | None = None,
        prefetch: int = PREFETCH,
        visibility: float | timedelta | None = None,
        max_deliveries: int | None = None,
        ordered: bool | None = None,
        abandon: float | timedelta | None = None,
        order: str | None = None,
        patience: float | timedelta | None = None,
        waiting: int | None = None,
        causal: Causal | None = None,
    ) -> AsyncSubscription:
        """Read what is published to topics that fit, from the first `receive` or `open` on.

        Arguments and errors are those of the sync client's `subscribe`. Use it with `async with`,
        and iterate over it.
        """
        made = reader_group(
            patterns,
            group,
            visibility=visibility,
            max_deliveries=max_deliveries,
            ordered=ordered,
            abandon=abandon,
        )
        wish = in_order(order, patience, waiting, causal, ordered=ordered)
        name = checked.claimant(reader) if reader is not None else reader_name()
        if wish is not None:
            return AsyncCausalSubscription(self._engine, made, name, prefetch, wish)
        return AsyncSubscription(self._engine, made, name, prefetch)

    async def unsubscribe(self, group: str) -> None:
        """End a group: what waits for it is let go. Raises GroupNotFound."""
        await drive_async(self._engine, bus_plans.unsubscribe(self._engine.shards, group))

    async def add_group(self, group: Group) -> None:
        """Make a group, or change it, without reading: messages wait for it from now on."""
        await drive_async(self._engine, bus_plans.subscribe(self._engine.shards, group))

    # -- looking and changing ------------------------------------------------------------------

    async def channels(self, *, limit: int = 100) -> list[ChannelView]:
        """Channels in use, those used last first."""
        return await drive_async(self._engine, bus_plans.channels(self._engine.shards, limit))

    async def channel(self, name: str) -> ChannelView:
        """One channel. Raises ChannelNotFound, InvalidTopic."""
        return await drive_async(self._engine, bus_plans.channel(self._engine.shards, name))

    async def groups(self) -> list[GroupView]:
        """All groups, by name."""
        return await drive_async(self._engine, bus_plans.groups(self._engine.shards))

    async def group(self, name: str) -> GroupView:
        """One group. Raises GroupNotFound."""
        return await drive_async(self._engine, bus_plans.group(self._engine.shards, name))

    async def bound(self, channel: str, *, entries: int, max_bytes: int) -> None:
        """Say how much may wait in a channel, or in each that a pattern fits (`**`: in any).

        entries: 0 takes back what was said. Raises InvalidTopic, InvalidOption.
        """
        plan = bus_plans.configure(self._engine.shards, channel, entries, max_bytes)
        await drive_async(self._engine, plan)

    async def bounds(self) -> list[Bound]:
        """What was said with `bound`, by channel or pattern; all else holds 10,000 or 32 MiB."""
        return await drive_async(self._engine, bus_plans.bounds_said())

    async def dead(
        self, *, group: str = "", channel: str = "", limit: int = 100
    ) -> list[DeadMessage]:
        """Messages that were given up, newest first; the last 10,000 are kept."""
        plan = bus_plans.dead_letters(self._engine.shards, group, channel, limit)
        return await drive_async(self._engine, plan)

    async def revive(self, *ids: str) -> int:
        """Give dead letters out again, each to the group that gave it up; how many were."""
        return await drive_async(self._engine, bus_plans.revive(self._engine.shards, ids))

    async def purge_dead(self, *ids: str) -> int:
        """Delete dead letters; how many were."""
        return await drive_async(self._engine, bus_plans.purge(self._engine.shards, ids))

    async def close(self) -> None:
        """Send what is on its way, and stop listening for answers."""
        await self._office.close()
        await self._replies.close()
