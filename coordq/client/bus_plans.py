"""Operations on the bus of more than one step, written once for both clients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final
from uuid import uuid4

from coordq.amounts import whole
from coordq.bus import bounds, dead, look
from coordq.bus import group as groups_of
from coordq.bus.dead import DeadMessage
from coordq.bus.group import Group
from coordq.bus.look import ChannelView, GroupView
from coordq.bus.sweep import Swept, sweep
from coordq.bus.topic import check_channel, check_group, shard_of_channel
from coordq.client.plan import Plan, chunks
from coordq.engine.call import Call
from coordq.errors import ChannelNotFound, GroupNotFound

SWEEPS_MAX: Final = 50
"""Pages that who ends a group sweeps itself; a leader sweeps the rest."""


def subscribe(shards: int, group: Group, *, only_new: bool = False) -> Plan[None]:
    """Make or change a group, on all shards."""
    for shard in range(shards):
        yield groups_of.subscribe(shard, group, only_new=only_new)


def unsubscribe(shards: int, name: str) -> Plan[None]:
    """End a group, and let go of what waits for it. Raises GroupNotFound."""
    check_group(name)
    known = False
    for shard in range(shards):
        known = (yield groups_of.unsubscribe(shard, name)) or known
    for shard in range(shards if known else 0):
        cursor, pages = "c0", 0
        while cursor and pages < SWEEPS_MAX:
            swept: Swept = yield sweep(shard, cursor)
            cursor, pages = swept.cursor, pages + 1
    if not known:
        raise GroupNotFound(f"There is no group {name!r}: `coordq bus groups` lists them.")


def configure(shards: int, channel: str, entries: int, max_bytes: int) -> Plan[None]:
    """Bound a channel, or all that a pattern fits, on all shards."""
    for shard in range(shards):
        yield bounds.configure(shard, channel, entries=entries, max_bytes=max_bytes)


def bounds_said() -> Plan[list[bounds.Bound]]:
    """What was said about bounds, which each shard knows."""
    found: list[bounds.Bound] = yield bounds.bounds(0)
    return found


def channel(shards: int, name: str) -> Plan[ChannelView]:
    """One channel. Raises ChannelNotFound."""
    shard = shard_of_channel(check_channel(name), shards)
    found: list[ChannelView] = yield look.channels(shard, name)
    if not found:
        raise ChannelNotFound(
            f"Nothing lies in channel {name!r}, or lately has: `coordq bus ls` lists those in use."
        )
    return found[0]


def channels(shards: int, limit: int) -> Plan[list[ChannelView]]:
    """Channels, those used last first."""
    whole("limit", limit)
    found: list[ChannelView] = []
    for shard in range(shards):
        offset = 0
        while offset < limit:
            page: list[ChannelView] = yield look.channels(
                shard, offset=offset, limit=min(500, limit)
            )
            found += page
            offset += len(page)
            if len(page) < min(500, limit):
                break
    found.sort(key=lambda view: (-view.used_ms, view.name))
    return found[:limit]


def groups(shards: int, name: str = "") -> Plan[list[GroupView]]:
    """All groups, or one, over all shards, by name."""
    found: list[GroupView] = []
    for shard in range(shards):
        cursor = "0"
        while True:
            page: list[GroupView]
            cursor, page = yield look.groups(shard, name, cursor=cursor)
            found += page
            if cursor == "0":
                break
    return look.merge(found)


def group(shards: int, name: str) -> Plan[GroupView]:
    """One group. Raises GroupNotFound."""
    found = yield from groups(shards, check_group(name))
    if not found:
        raise GroupNotFound(f"There is no group {name!r}: `coordq bus groups` lists them.")
    return found[0]


def dead_letters(shards: int, group: str, channel: str, limit: int) -> Plan[list[DeadMessage]]:
    """Dead letters that fit, newest first."""
    whole("limit", limit)
    found: list[DeadMessage] = []
    for shard in range(shards):
        before, kept = "+", 0
        while kept < limit:
            page: list[DeadMessage] = yield dead.dead(shard, before, limit=dead.PAGE_MAX)
            fit = [
                letter
                for letter in page
                if group in {"", letter.group} and channel in {"", letter.channel}
            ]
            found += fit
            kept += len(fit)
            if len(page) < dead.PAGE_MAX:
                break
            before = page[-1].id.partition("/")[2]
    found.sort(key=lambda letter: -letter.at_ms)
    return found[:limit]


def _all_of(
    shards: int, ids: Sequence[str], make: Callable[[int, Sequence[str]], Call[int]]
) -> Plan[int]:
    done = 0
    for shard, entries in dead.by_shard(ids, shards).items():
        for page in chunks(entries):
            amount: int = yield make(shard, page)
            done += amount
    return done


def revive(shards: int, ids: Sequence[str]) -> Plan[int]:
    """Give dead letters out again; how many were."""
    return (
        yield from _all_of(
            shards, ids, lambda shard, page: dead.revive(shard, page, nonce=uuid4().hex)
        )
    )


def purge(shards: int, ids: Sequence[str]) -> Plan[int]:
    """Delete dead letters; how many were."""
    return (yield from _all_of(shards, ids, dead.purge))
