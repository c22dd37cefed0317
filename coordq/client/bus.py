"""The bus door of the sync client: messages between agents."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from coordq.bus.bounds import Bound
from coordq.bus.causal import Causal
from coordq.bus.dead import DeadMessage
from coordq.bus.envelope import Parcel
from coordq.bus.group import Group
from coordq.bus.look import ChannelView, GroupView
from coordq.bus.reply import Reply, address, read_reply
from coordq.bus.topic import BROADCAST, mailbox, shard_of_channel
from coordq.client import arranged, asking, bus_plans, checked, posting
from coordq.client.causal import in_order, post, publisher, turn
from coordq.client.causal_subscription import CausalSubscription
from coordq.client.delivery import PREFETCH, reader_group, reader_name
from coordq.client.drive import drive
from coordq.client.plan import BLOCK_S
from coordq.client.posting import WAIT_S, Item, Published, Terms
from coordq.client.subscription import Subscription
from coordq.clock import monotonic
from coordq.engine import bus_keys, keys
from coordq.engine.connection import Engine
from coordq.fleet.topology.view import View

if TYPE_CHECKING:
    from coordq.client.nearest import Routed
    from coordq.client.routing import Routing


class Bus:
    """Messages of a namespace: published, read, answered. Thread-safe."""

    def __init__(
        self, engine: Engine, routing: Routing, view: Callable[[], View] | None = None
    ) -> None:
        self._engine = engine
        self._routing = routing
        self._view = view
        self._name = uuid4().hex[:12]

    # -- sending -------------------------------------------------------------------------------

    def publish(
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

        priority: critical, normal or low; more urgent ones overtake. sender, kind, correlation,
        causation, trace (W3C traceparent), schema: what stands in the envelope. expires: seconds
        or a timedelta, after which nobody is given it any more. compress: a body of 4 KiB or more.
        when_full: when groups have not acknowledged enough "wait" waits `timeout` seconds for room
        (None: for ever), "refuse" raises at once, "shed" buries unread low messages to make room
        and leaves this one out when that is not enough. once: with an `id=` that says which message
        it is, made before by coordq.new_id() or `id_of`: if it was published under this id in the
        last five minutes, that counts, and nobody is given it again. causal: it comes after all
        that this publisher has said or read, for those who subscribe with order="causal".

        Raises InvalidTopic, InvalidMessage, InvalidOption, PayloadTooLarge, ChannelFull, RedisFull,
        Unreachable; NotConnected when `sender` is an agent that the topology does not let talk to
        the other.
        """
        how = posting.one(when_full, timeout, once, envelope)
        if self._view is not None and arranged.concerns(topic, envelope):
            envelope = arranged.allowed(self._view(), topic, envelope)
        parcel = posting.draft(self._engine.shards, topic, body, envelope)
        return self._post([parcel], how, causal)[0]

    def id_of(self, channel: str, origin: str, key: str, /) -> str:
        """The id of the message that `origin`, an id mostly, sends to a channel under `key`.

        It is always the same, for `publish(..., id=, once=True)`. Asks nobody. Raises
        InvalidTopic, InvalidOption.
        """
        return posting.id_of(channel, origin, key, self._engine.shards)

    def publish_many(
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
            items = [*arranged.all_allowed(self._view(), items, envelope)]
        parcels = posting.drafts(self._engine.shards, items, envelope)
        return self._post(parcels, how, causal)

    def _post(
        self, parcels: Sequence[Parcel], how: Terms, causal: Causal | None
    ) -> list[Published]:
        whose = publisher(causal, how)
        with turn(whose):
            plan = post(self._engine.namespace, self._engine.shards, parcels, how, whose)
            return drive(self._engine, plan)

    def send(self, agent: str, body: Any, /, **options: Any) -> Published:
        """Send to an agent's mailbox; options as in `publish`. Raises also AgentNotFound."""
        return self.publish(mailbox(agent), body, **options)

    def broadcast(self, body: Any, /, **options: Any) -> Published:
        """Send to every agent that has a mailbox; options as in `publish`."""
        return self.publish(BROADCAST, body, **options)

    def route(
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

        text: what the message is about, as a person would say it. top: up to so many agents, 1 to
        16, each with a message of its own. threshold: how near they must be, -1 to 1; by default
        what `client.routing.use` says. fallback: an agent, or a topic (one with a dot, or
        `topic:<word>`), for what nobody is near; by default that of `client.routing.use`. Other
        options as in `publish`, without id, once and causal.

        Passed over, with the reason, is who is the sender, may not be talked to by it, is away
        without a stand-in, has an open breaker `agent:<name>` or no room; one that is half open
        counts half. Routes that are declared by hand may name topics, too.

        Raises as `publish` and `client.routing.route`; NoRoute when nobody is left and there is no
        fall-back, NotConnected when the topology alone is why, ChannelFull when one had no room.
        """
        from coordq.client.nearest import Errand, wish

        how = posting.terms(when_full, timeout)
        asked = wish(text, body, envelope, how, top=top, threshold=threshold, fallback=fallback)
        view = self._view() if self._view is not None and asked.sender else None
        errand = Errand(asked, self._routing.compass, view)
        where = self._engine.namespace, self._engine.shards
        while errand.routed is None:
            decision = self._routing.route(text, among=errand.among)
            drive(self._engine, errand.carry_out(decision, where))
        return errand.routed

    # -- asking --------------------------------------------------------------------------------

    def ask(self, to: str, body: Any, /, *, timeout: float = 30.0, **options: Any) -> Any:
        """Ask an agent, or whoever reads a topic (one with a dot, or `topic:<word>`): the answer.

        Of several groups that answer, the first counts. Raises WaitTimeout after `timeout` seconds,
        AskFailed, AgentNotFound, GroupNotFound when nobody reads the topic, and as `publish`.
        """
        for answer in self.ask_parts(to, body, timeout=timeout, **options):
            last = answer
        return last.body

    def ask_parts(
        self, to: str, body: Any, /, *, timeout: float = 30.0, **options: Any
    ) -> Iterator[Reply]:
        """As `ask`, part by part as they come; the last one has how == "last".

        timeout: seconds for each part.
        """
        asker = f"{self._name}.{threading.get_native_id():x}.{uuid4().hex[:8]}"
        shard = shard_of_channel(asker, self._engine.shards)
        limit_s = asking.limit(timeout)
        extra = asking.envelope(address(shard, asker), limit_s, options)
        published = self.publish(asking.channel_of(to), body, **extra)
        asking.check_heard(to, published)
        key = bus_keys.replies(keys.root(self._engine.namespace, shard), asker)
        collected = asking.Answers(published.id, to, limit_s)
        after, deadline = "0", monotonic() + limit_s
        try:
            while not collected.ended:
                block = min(BLOCK_S, deadline - monotonic())
                if block <= 0:
                    raise collected.too_late()
                words = ("BLOCK", max(1, int(block * 1000)), "STREAMS", key, after)
                reply = self._engine.execute(shard, "XREAD", *words, timeout_s=block)
                for entry, fields in reply[0][1] if reply else []:
                    after, deadline = entry.decode(), monotonic() + limit_s
                    yield from collected.take(read_reply(fields))
        finally:
            self._engine.execute(shard, "UNLINK", key)

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
    ) -> Subscription:
        """Read what is published from now on to topics that fit: `orders.*`, `audit.**`.

        `*` stands for one word, `**` at the end for any number. `@<agent>` is that agent's mailbox.
        group: readers of one group share its messages; without a group this reader is given all,
        and what it has not read goes with it. reader: a name that is the same after a restart:
        what it held then comes at once. prefetch: how many messages are taken at a time.
        visibility: seconds after which what was not acknowledged is given to another reader (30).
        max_deliveries: after so many a message is a dead letter (5). ordered: of each topic one
        message at a time. abandon: seconds without any reader after which a group that messages
        wait for is given up (a day; 0: never). Without patterns a group that exists stays as it is.

        order: "causal" makes this the group's only reader, which is given a message after all those
        that it comes after, as publishers said with `causal=`. Up to `waiting` messages (256) that
        came early wait, for `patience` seconds (5) at most; then `delivery.missing` says what did
        not come, and event bus-order-gap. causal: what that publisher says comes after what is
        handed out here.

        Raises InvalidTopic, InvalidName, InvalidOption, InvalidTime; with order="causal" Conflict
        when another reader has the group alone, and GroupNotFound.
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
            return CausalSubscription(self._engine, made, name, prefetch, wish)
        return Subscription(self._engine, made, name, prefetch)

    def unsubscribe(self, group: str) -> None:
        """End a group: what waits for it is let go. Raises GroupNotFound."""
        drive(self._engine, bus_plans.unsubscribe(self._engine.shards, group))

    def add_group(self, group: Group) -> None:
        """Make a group, or change it, without reading: messages wait for it from now on."""
        drive(self._engine, bus_plans.subscribe(self._engine.shards, group))

    # -- looking and changing ------------------------------------------------------------------

    def channels(self, *, limit: int = 100) -> list[ChannelView]:
        """Channels in use, those used last first."""
        return drive(self._engine, bus_plans.channels(self._engine.shards, limit))

    def channel(self, name: str) -> ChannelView:
        """One channel. Raises ChannelNotFound, InvalidTopic."""
        return drive(self._engine, bus_plans.channel(self._engine.shards, name))

    def groups(self) -> list[GroupView]:
        """All groups, by name."""
        return drive(self._engine, bus_plans.groups(self._engine.shards))

    def group(self, name: str) -> GroupView:
        """One group. Raises GroupNotFound."""
        return drive(self._engine, bus_plans.group(self._engine.shards, name))

    def bound(self, channel: str, *, entries: int, max_bytes: int) -> None:
        """Say how much may wait in a channel, or in each that a pattern fits (`**`: in any).

        entries: 0 takes back what was said. Raises InvalidTopic, InvalidOption.
        """
        plan = bus_plans.configure(self._engine.shards, channel, entries, max_bytes)
        drive(self._engine, plan)

    def bounds(self) -> list[Bound]:
        """What was said with `bound`, by channel or pattern; all else holds 10,000 or 32 MiB."""
        return drive(self._engine, bus_plans.bounds_said())

    def dead(self, *, group: str = "", channel: str = "", limit: int = 100) -> list[DeadMessage]:
        """Messages that were given up, newest first; the last 10,000 are kept."""
        plan = bus_plans.dead_letters(self._engine.shards, group, channel, limit)
        return drive(self._engine, plan)

    def revive(self, *ids: str) -> int:
        """Give dead letters out again, each to the group that gave it up; how many were."""
        return drive(self._engine, bus_plans.revive(self._engine.shards, ids))

    def purge_dead(self, *ids: str) -> int:
        """Delete dead letters; how many were."""
        return drive(self._engine, bus_plans.purge(self._engine.shards, ids))
