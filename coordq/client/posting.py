"""Messages on their way to the bus: what is asked for, and what if there is no room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple
from uuid import uuid4

from coordq.bus.envelope import Parcel, Stamp, stamp
from coordq.bus.publish import BATCH_BYTES, BATCH_MAX, MODES, ONCE, Posted, publish
from coordq.bus.topic import check_channel, shard_of_channel
from coordq.client import checked
from coordq.client.plan import BLOCK_S, Command, Plan
from coordq.clock import monotonic
from coordq.engine import bus_keys, keys
from coordq.engine.call import blocking
from coordq.errors import AgentNotFound, ChannelFull, InvalidMessage, InvalidOption, InvalidTopic
from coordq.ids import child_id, is_id, new_id

WAIT_S: Final = 30.0
"""How long a publish waits for room unless told otherwise."""
Item = tuple[str, Any] | tuple[str, Any, dict[str, Any]]


class Published(NamedTuple):
    """A message that was published."""

    id: str
    receivers: int
    """How many groups will be given it. 0: nobody asks for this topic, and it was not kept."""
    shed: bool = False
    """The channel was full and it was left out, as when_full="shed" asks."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What shall happen when a channel is full."""

    mode: str = "wait"
    wait_s: float | None = WAIT_S
    once: bool = False
    """What was published under the same id in the last minutes is not published again."""


def terms(when_full: object, timeout: object) -> Terms:
    """`when_full` and `timeout` as callers say them. Raises InvalidOption, InvalidTime."""
    if when_full not in MODES:
        raise InvalidOption(
            f"when_full={when_full!r}: use one of {', '.join(MODES)}.", option="when_full"
        )
    return Terms(str(when_full), checked.timeout("timeout", timeout))


def one(when_full: object, timeout: object, once: object, envelope: dict[str, Any]) -> Terms:
    """Terms of a single message. Raises InvalidOption, InvalidTime."""
    if once is not False and (once is not True or envelope.get("id") is None):
        raise InvalidOption(
            f"once={once!r}: give True or False, and with True the id= that it has each time.",
            option="once",
        )
    return replace(terms(when_full, timeout), once=True) if once else terms(when_full, timeout)


def draft(shards: int, channel: object, body: Any, options: dict[str, Any]) -> Parcel:
    """A parcel for a channel. Raises InvalidTopic, InvalidName, InvalidMessage, PayloadTooLarge."""
    name = _open(channel)
    own = dict(options)
    id_ = own.pop("id", None)
    if id_ is not None and (not isinstance(id_, str) or not is_id(id_)):
        raise InvalidMessage(f"id={id_!r}: an id has the form of coordq.new_id().")
    return _stamp(own).parcel(name, body, id_ or fresh_id(name, shards))


def _open(channel: object) -> str:
    """The channel, if anybody may publish to it. Raises InvalidTopic, InvalidName."""
    name = check_channel(channel)
    if name[0] == "~":
        raise InvalidTopic("What is said in a session is a turn of it: client.sessions says it.")
    return name


def _stamp(options: dict[str, Any]) -> Stamp:
    try:
        return stamp(**options)
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        option = str(error).rpartition("'")[0].rpartition("'")[2]
        raise InvalidMessage(
            f"A message has no {option!r}; it has: priority, sender, kind, correlation, causation, "
            "trace, schema, expires, compress."
        ) from error


def fresh_id(channel: str, shards: int) -> str:
    """An id for a message that is yet to be made."""
    return new_id(shard_of_channel(channel, shards))


def id_of(channel: object, origin: object, key: object, shards: int) -> str:
    """The id of what comes of `origin` under `key`. Raises InvalidTopic, InvalidOption."""
    name = _open(channel)
    for option, text in (("origin", origin), ("key", key)):
        if not isinstance(text, str) or not text:
            raise InvalidOption(f"{option}={text!r:.60} is no text.", option=option)
    return child_id(str(origin), f"{name}\0{key}", shard_of_channel(name, shards))


def drafts(shards: int, items: Iterable[Item], options: dict[str, Any]) -> list[Parcel]:
    """Parcels of `(channel, body)` or `(channel, body, options)`."""
    usual = None if "id" in options else _stamp(options)
    known: dict[Any, int] = {}
    made = []
    for item in items:
        if not isinstance(item, tuple | list) or len(item) not in {2, 3}:
            raise InvalidMessage(
                f"{str(item)[:60]!r}: give (topic, body) or (topic, body, options) for each."
            )
        if len(item) > 2 or usual is None:  # noqa: PLR2004 - it has an envelope of its own
            channel, body, *own = item
            made.append(draft(shards, channel, body, options | own[0] if own else options))
            continue
        channel, body = item[0], item[1]
        shard = known.get(channel) if isinstance(channel, str) else None
        if shard is None:
            shard = known[channel] = shard_of_channel(_open(channel), shards)
        made.append(usual.parcel(channel, body, new_id(shard)))
    return made


def batches(parcels: Sequence[Parcel], shards: int) -> list[tuple[int, list[int]]]:
    """Which parcels travel together: shard and places; those of a shard in order."""
    done: list[tuple[int, list[int]]] = []
    open_: dict[int, tuple[list[int], int]] = {}
    for at, each in enumerate(parcels):
        shard = shard_of_channel(each.channel, shards) if shards > 1 else 0
        places, size = open_.get(shard, ([], 0))
        if not places or len(places) == BATCH_MAX or size > BATCH_BYTES:
            places, size = [], 0
            done.append((shard, places))
        places.append(at)
        open_[shard] = places, size + len(each.body)
    return done


def post(
    namespace: str, shards: int, parcels: Sequence[Parcel], how: Terms
) -> Plan[list[Published]]:
    """Publish all, in order. Raises AgentNotFound, ChannelFull after all others were published."""
    settled: dict[int, Posted] = {}
    for shard, places in batches(parcels, shards):
        settled |= yield from _post_batch((namespace, shard), parcels, places, how)
    return settle(parcels, [settled[at] for at in range(len(parcels))], how)


def _post_batch(
    where: tuple[str, int], parcels: Sequence[Parcel], places: list[int], how: Terms
) -> Plan[dict[int, Posted]]:
    deadline = None if how.wait_s is None else monotonic() + how.wait_s
    settled: dict[int, Posted] = {}
    while True:
        members = [parcels[at] for at in places]
        nonce = ONCE + members[0].id if how.once else uuid4().hex
        posted: list[Posted] = yield publish(where[1], members, mode=how.mode, nonce=nonce)
        settled.update(zip(places, posted, strict=True))
        places = [at for at in places if settled[at].full]
        left = BLOCK_S if deadline is None else deadline - monotonic()
        if not places or how.mode != "wait" or left <= 0:
            return settled
        yield wait_for_room(*where, parcels[places[0]], left)


def wait_for_room(namespace: str, shard: int, first: Parcel, left_s: float) -> Command:
    """Blocks until there may be room for a parcel that found none."""
    space = bus_keys.space(keys.root(namespace, shard), first.lane + first.channel)
    block = min(left_s, BLOCK_S)
    return Command(shard, ("BLPOP", space, blocking(block)), timeout_s=block)


def settle(parcels: Sequence[Parcel], posted: Sequence[Posted], how: Terms) -> list[Published]:
    """What callers are told. Raises AgentNotFound, ChannelFull."""
    if not any(what.full or what.unknown for what in posted):
        return [Published(what.id, what.receivers) for what in posted]
    for each, what in zip(parcels, posted, strict=True):
        if what.unknown:
            agent = each.channel[1:]
            ids = [one.id for one in posted if one.unknown]
            raise AgentNotFound(
                f"There is no agent {agent!r} that messages could be sent to: register it, or "
                "subscribe to its mailbox.",
                agent=agent,
                ids=ids,
            )
    full = [each for each, what in zip(parcels, posted, strict=True) if what.full]
    if full and how.mode != "shed":
        raise no_room(full, len(parcels))
    return [Published(what.id, what.receivers, what.full) for what in posted]


def no_room(full: Sequence[Parcel], amount: int) -> ChannelFull:
    """The error for those of `amount` parcels that were not published."""
    channel = full[0].channel
    others = f" {amount - len(full)} of {amount} were published." if amount > 1 else ""
    return ChannelFull(
        f"Channel {channel!r} is full: its groups have not acknowledged enough.{others} Try again "
        "later, see who is behind with `coordq bus ls`, or raise its bound.",
        channel=channel,
        ids=[each.id for each in full],
    )
