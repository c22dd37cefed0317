"""Causal order at the doors: what a publisher sends, and the tray of a reader that asks for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby
from typing import Final

from coordq.amounts import whole
from coordq.bus.alone import LATER, LOOK_MAX, NOTHING, Alone, alone
from coordq.bus.causal import Causal
from coordq.bus.causal_buffer import CausalBuffer, Released
from coordq.bus.envelope import Parcel
from coordq.bus.group import Group
from coordq.bus.take import hold
from coordq.bus.topic import BROADCAST, shard_of_channel
from coordq.client import bus_plans, checked, posting
from coordq.client.delivery import Arrival, Settled, Share, Tray, verdicts
from coordq.client.plan import Plan, chunks
from coordq.client.posting import Published, Terms
from coordq.clock import monotonic
from coordq.engine.call import Call
from coordq.errors import (
    ChannelFull,
    Conflict,
    GroupNotFound,
    InvalidInput,
    InvalidOption,
    InvalidTime,
    NotFound,
    Refused,
)
from coordq.topics import matches
from coordq.work.events import note

PATIENCE_S: Final = 5.0
PATIENCE_MAX_S: Final = 3600.0
WAITING: Final = 256
WAITING_MAX: Final = 10_000
LOOK_AGAIN_S: Final = 0.25
"""How often it is looked for what another reader holds, or what was given back."""
GAP: Final = "bus-order-gap"

# -- publishing ------------------------------------------------------------------------------------


def publisher(causal: object, how: Terms) -> Causal | None:
    """Who publishes in causal order; None for no order. Raises InvalidOption."""
    if causal is not None and how.once:
        raise InvalidOption(
            "once=True and causal= do not go together, since what is said again would have another "
            "place in the order. In a handler, publish it by `ctx.client.bus`.",
            option="causal",
        )
    return _causal(causal)


def _causal(causal: object) -> Causal | None:
    if causal is None or isinstance(causal, Causal):
        return causal
    raise InvalidOption(f"causal={causal!r:.60}: give a coordq.Causal().", option="causal")


def turn(causal: Causal | None) -> AbstractContextManager[object]:
    """Held while a message is published, on a thread."""
    return nullcontext() if causal is None else causal.turn


def turn_async(causal: Causal | None) -> AbstractAsyncContextManager[object]:
    """The same, on an event loop."""
    return nullcontext() if causal is None else causal.turn_async


def post(
    namespace: str, shards: int, parcels: Sequence[Parcel], how: Terms, causal: Causal | None
) -> Plan[list[Published]]:
    """Publish all, in order, as `posting.post`; in causal order each after the one before.

    Then what comes behind one that was not published is not published either.
    """
    if causal is None:
        return (yield from posting.post(namespace, shards, parcels, how))
    done: list[Published] = []
    for _, group in groupby(parcels, lambda parcel: (parcel.channel, parcel.lane)):
        run = list(group)
        for _, places in posting.batches(run, shards):
            some = [run[at] for at in places]
            try:
                done += yield from _post_run(namespace, shards, some, how, causal)
            except ChannelFull as error:
                begun = [each.id for each in parcels].index(error.facts["ids"][0])
                raise posting.no_room(parcels[begun:], len(parcels)) from error
    return done


def _post_run(
    namespace: str, shards: int, run: Sequence[Parcel], how: Terms, causal: Causal
) -> Plan[list[Published]]:
    """Messages of one place, in one call: those that are published are the first ones."""
    draw = causal.draw(run[0].channel, len(run))
    clocked = [each.clocked(clock) for each, clock in zip(run, draw.clocks, strict=True)]
    try:
        posted = yield from posting.post(namespace, shards, clocked, how)
    except ChannelFull as error:
        causal.undo(draw, len(run) - len(error.facts["ids"]))
        raise
    except (InvalidInput, NotFound, Refused):
        causal.undo(draw)
        raise
    sent = sum(each.receivers > 0 and not each.shed for each in posted)
    if sent < len(run):
        causal.undo(draw, sent)
    return posted


# -- reading ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InOrder:
    """How a reader wants causal order."""

    patience_s: float = PATIENCE_S
    waiting: int = WAITING
    causal: Causal | None = None
    """Whose messages come after what is handed out."""


def in_order(
    order: object, patience: object, waiting: object, causal: object, *, ordered: object = None
) -> InOrder | None:
    """What `subscribe` was asked for; None for no order. Raises InvalidOption, InvalidTime."""
    if order is None:
        for option, value in (("patience", patience), ("waiting", waiting), ("causal", causal)):
            if value is not None:
                raise InvalidOption(
                    f"{option}= is for those who ask for order='causal'.", option=option
                )
        return None
    if order != "causal":
        raise InvalidOption(f"order={order!r:.60}: use 'causal', or leave it out.", option="order")
    if ordered:
        raise InvalidOption(
            "ordered=True and order='causal' do not go together: causal order keeps the order of "
            "each publisher that asks for it.",
            option="order",
        )
    amount = WAITING if waiting is None else whole("waiting", waiting, least=1, most=WAITING_MAX)
    return InOrder(_patience_s(patience), amount, _causal(causal))


def _patience_s(patience: object) -> float:
    seconds = PATIENCE_S if patience is None else checked.timeout("patience", patience)
    if seconds is None or seconds > PATIENCE_MAX_S:
        raise InvalidTime(
            f"patience={patience!r}: give 0 to {PATIENCE_MAX_S:g} seconds.", option="patience"
        )
    return seconds


def begin(shards: int, group: Group, reader: str) -> Plan[Group]:
    """Read a group alone; the group as it is. Raises Conflict, InvalidOption, GroupNotFound."""
    if not group.patterns:
        try:
            group = (yield from bus_plans.group(shards, group.name)).group
        except GroupNotFound:
            if group.name[:1] != "@":  # a mailbox is made by who reads it
                raise
    if group.ordered:
        raise InvalidOption(
            f"Group {group.name!r} is ordered: read it without order='causal', or under another "
            "name.",
            option="order",
        )
    for shard in range(shards):
        told: Alone = yield alone(shard, group.name, reader)
        if told.other:
            for before in range(shard):
                yield alone(before, group.name, reader, lease_s=0)
            raise conflict(group, told)
    return group


def end(shards: int, group: Group, reader: str) -> Plan[None]:
    """Read a group alone no longer."""
    for shard in range(shards):
        yield alone(shard, group.name, reader, lease_s=0)


def conflict(group: Group, told: Alone) -> Conflict:
    """The error for two readers of which each would have to be alone."""
    return Conflict(
        f"Group {group.name!r} is read in causal order by {told.other!r}: messages that two share "
        "have no order. Close that one, or read as a group of your own.",
        group=group.name,
        reader=told.other,
    )


def _hears(group: Group, channel: str) -> bool:
    if group.name[:1] == "@" and channel in {group.name, BROADCAST}:
        return True
    return any(matches(pattern, channel) for pattern in group.patterns)


class CausalTray(Tray):
    """A tray in which messages that come early wait for what they come after.

    group: as it is, with its patterns: see `begin`.
    """

    def __init__(
        self, group: Group, reader: str, prefetch: int, *, wish: InOrder, shards: int
    ) -> None:
        super().__init__(group, reader, prefetch)
        self._shards = shards
        self._causal = wish.causal
        sees: Callable[[str], bool] = partial(_hears, group)
        self._buffer = CausalBuffer[Arrival](sees, bound=wish.waiting, patience_s=wish.patience_s)
        self._back: deque[Arrival] = deque()
        self._looked: set[str] = set()
        self._held_s = monotonic()

    # -- arriving and leaving ------------------------------------------------------------------

    def accept(self, arrival: Arrival) -> None:
        """It is handed out, or waits."""
        message = arrival.message
        self._let_go(self._buffer.add(arrival, message.channel, message.clock, monotonic()))

    def _let_go(self, released: Sequence[Released[Arrival]]) -> None:
        for each in released:
            each.item.missing = each.missing
            self.arrived.append(each.item)

    def handed_out(self, arrival: Arrival) -> None:
        """Its reader has it."""
        if self._causal is not None:
            self._causal.saw(arrival.message)

    def gave_back(self, arrival: Arrival) -> None:
        """It comes again, and what comes after it waits for that. From any thread."""
        if arrival.message.attempt < self.group.deliveries:  # else it is a dead letter
            self._back.append(arrival)

    def tend(self) -> None:
        """Give up what was waited for too long; put back in order what was not handed out."""
        if self._back:
            again = list(self.arrived)
            self.arrived.clear()
            back = [self._back.popleft() for _ in range(len(self._back))]
            for each in chain(back, again):
                self._buffer.gave_back(each.message.channel, each.message.clock)
            for each in again:
                self.accept(each)
        self._let_go(self._buffer.ripen(monotonic()))

    def rest(self) -> Settled:
        """What was not handed out goes back, also what waits."""
        waiting = [each.share for each in self._buffer if each.share.finish()]
        settled = super().rest()
        for shard, each in verdicts("r", waiting).items():
            settled.setdefault(shard, []).extend(each)
        return settled

    # -- waiting -------------------------------------------------------------------------------

    def patience_s(self) -> float | None:
        """For how long from now nothing has to be given up; None when nothing waits."""
        ripe_s = self._buffer.ripe_s()
        return None if ripe_s is None else max(0.0, ripe_s - monotonic())

    def doubts(self) -> dict[int, list[str]]:
        """Where to look for what is waited for: channels by shard, so many as one call takes."""
        found: dict[int, list[str]] = {}
        for channel in sorted(self._buffer.doubts()):
            some = found.setdefault(shard_of_channel(channel, self._shards), [])
            if len(some) < LOOK_MAX:
                some.append(channel)
        self._looked &= set(chain.from_iterable(found.values()))
        return found

    def new_doubts(self) -> dict[int, list[str]]:
        """Those that were not looked after yet; from now on they are."""
        found = {
            shard: [channel for channel in some if channel not in self._looked]
            for shard, some in self.doubts().items()
        }
        self._looked.update(chain.from_iterable(found.values()))
        return {shard: some for shard, some in found.items() if some}

    def ask_alone(self, shard: int, channels: Sequence[str] = ()) -> Call[Alone]:
        """Stay the only reader, and ask what is still to come."""
        return alone(shard, self.group.name, self.reader, channels=channels)

    def learn(self, told: Alone) -> float | None:
        """What was answered; how soon to take again, in seconds, None when nothing is to come.

        Raises Conflict.
        """
        if told.other:
            raise conflict(self.group, told)
        nothing = {channel for channel, what in told.coming.items() if what == NOTHING}
        if nothing:
            self._let_go(self._buffer.absent(nothing))
        left = set(told.coming.values()) - {NOTHING}
        if not left:
            return None
        return LOOK_AGAIN_S if left == {LATER} else 0.0

    # -- telling and holding -------------------------------------------------------------------

    def gaps(self) -> list[Call[str]]:
        """An event for each predecessor that was given up, by the shard of its channel."""
        losses, self._buffer.losses = self._buffer.losses, []
        name = self.group.name
        return [
            note(
                shard_of_channel(missing.channel, self._shards),
                name,
                GAP,
                f"{missing} before {arrival.message.id} ({why})",
            )
            for missing, arrival, why in losses
        ]

    def beat_s(self) -> float:
        """For how long from now what lies here need not be held."""
        every_s = min(self.group.visibility_s, 30.0) / 3
        return max(0.0, self._held_s + every_s - monotonic())

    def beat(self) -> Plan[None]:
        """Hold what lies here, and stay the only reader. Raises Conflict."""
        self._held_s = monotonic()
        shares: dict[int, dict[int, Share]] = {shard: {} for shard in range(self._shards)}
        for arrival in (*self._buffer, *self.arrived):
            shares[arrival.share.shard][id(arrival.share)] = arrival.share
        for shard, found in shares.items():
            self.learn((yield self.ask_alone(shard)))
            for some in chunks(list(found.values())):
                since = monotonic()
                amount = yield hold(shard, self.reader, [share.given for share in some])
                if amount == len(some):  # else each is asked about when it is handed out
                    for share in some:
                        share.since = since
