"""An office to work in by hand: what publishers, readers and the clock do, one call each.

Every operation is the real one, on a real server. Only time is helped along: moments that are kept
are moved into the past instead of waiting for them. `audit` recounts the whole shard.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any

from coordq.bus import bounds, look
from coordq.bus import group as groups
from coordq.bus.dead import DeadMessage, dead
from coordq.bus.envelope import Parcel, parcel
from coordq.bus.group import Group
from coordq.bus.publish import Posted, publish
from coordq.bus.sweep import Dropped, Swept, sweep
from coordq.bus.take import Given, Taken, gather, take
from coordq.engine import bus_keys, keys
from coordq.engine.call import Argument, Call
from coordq.engine.connection import Engine

ENTRY_BYTES = 100
_nonces = count(1)


def nonce() -> str:
    """One that no other call has, of this process or of another at the same shard."""
    return f"n{os.getpid()}-{next(_nonces)}"


class Office:
    """One shard of a namespace, within reach."""

    def __init__(self, engine: Engine, shard: int = 0) -> None:
        self.engine = engine
        self.shard = shard
        self.root = keys.root(engine.namespace, shard)

    def run(self, call: Call[Any]) -> Any:
        """The call's answer."""
        return self.engine.run(call)

    def redis(self, *words: Argument) -> Any:
        """A plain command."""
        return self.engine.execute(self.shard, *words)

    # -- what is done --------------------------------------------------------------------------

    def group(self, name: str, *patterns: str, **options: Any) -> str:
        """A group that hears these."""
        self.run(groups.subscribe(self.shard, groups.group(name, *patterns, **options)))
        return name

    def run_group(self, group: Group) -> None:
        """That very group."""
        self.run(groups.subscribe(self.shard, group))

    def post(self, channel: str, *bodies: Any, mode: str = "wait", **options: Any) -> list[Posted]:
        """Messages to one channel."""
        parcels = [parcel(channel, body, **options) for body in bodies]
        return self.post_all(parcels, mode=mode)

    def post_all(self, parcels: Sequence[Parcel], mode: str = "wait") -> list[Posted]:
        """In one call."""
        posted: list[Posted] = self.run(publish(self.shard, parcels, mode=mode, nonce=nonce()))
        return posted

    def take(self, *names: str, want: int = 100, reader: str = "r1", **options: Any) -> Taken:
        """What a reader is given."""
        call = take(self.shard, reader, names, want=want, nonce=nonce(), **options)
        taken: Taken = self.run(call)
        return taken

    def bodies(self, *names: str, **options: Any) -> list[Any]:
        """What a reader is given says."""
        return [each.message().body for each in self.take(*names, **options).given]

    def settle(self, verdict: str, *given: Given, reader: str = "r1", **more: Any) -> None:
        """One verdict over some messages."""
        self.take(want=0, reader=reader, settled=gather(verdict, given, **more))

    def ack(self, *given: Given, reader: str = "r1") -> None:
        """They were handled."""
        self.settle("a", *given, reader=reader)

    def sweep(self, cursor: str = "") -> list[Swept]:
        """A whole walk."""
        pages = [self.run(sweep(self.shard, cursor))]
        while pages[-1].cursor:
            pages.append(self.run(sweep(self.shard, pages[-1].cursor)))
        return pages

    def dropped(self) -> list[Dropped]:
        """The groups that a walk, or a second one, finds gone."""
        return [each for page in (*self.sweep(), *self.sweep()) for each in page.dropped]

    def bound(self, channel: str, entries: int, max_bytes: int = 2**30) -> None:
        """So much may lie there."""
        self.run(bounds.configure(self.shard, channel, entries=entries, max_bytes=max_bytes))

    # -- what is seen --------------------------------------------------------------------------

    def channel(self, name: str) -> look.ChannelView | None:
        """One channel."""
        found = self.run(look.channels(self.shard, name))
        return found[0] if found else None

    def entries(self, name: str) -> int:
        """How many messages lie in a channel."""
        found = self.channel(name)
        return found.entries if found else 0

    def view(self, name: str) -> look.GroupView | None:
        """One group."""
        found = self.run(look.groups(self.shard, name))[1]
        return found[0] if found else None

    def figures(self, name: str) -> dict[str, int]:
        """What a group has done."""
        found = self.view(name)
        assert found is not None, name
        return found.figures

    def dead(self) -> list[DeadMessage]:
        """Dead letters, newest first."""
        found: list[DeadMessage] = self.run(dead(self.shard, limit=500))
        return found

    def names(self, pattern: str = "*") -> Iterator[str]:
        """Keys of this shard."""
        cursor = "0"
        while True:
            cursor, page = self.redis(
                "SCAN", cursor, "MATCH", f"{self.root}{pattern}", "COUNT", 500
            )
            yield from (name.decode() for name in page)
            if int(cursor) == 0:
                return

    # -- time ----------------------------------------------------------------------------------

    def pass_time(self, ms: int) -> None:
        """Every moment that is kept was so much earlier."""
        for name in self.names("bus:*"):
            kind = name.removeprefix(self.root)
            if kind.startswith("bus:held:") or kind in {"bus:readers", "bus:channels"}:
                for member, score in self._scored(name):
                    self.redis("ZADD", name, f"{max(0, score - ms):.0f}", member)
            if kind.startswith("bus:g:"):
                seen = self.redis("HGET", name, "seen")
                if seen is not None:
                    self.redis("HSET", name, "seen", int(seen) - ms)

    def _scored(self, name: str) -> list[tuple[bytes, float]]:
        pairs = self.redis("ZRANGE", name, 0, -1, "WITHSCORES")
        return [(pairs[at], float(pairs[at + 1])) for at in range(0, len(pairs), 2)]

    def now_ms(self) -> int:
        """By Redis's clock."""
        seconds, micros = self.redis("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    # -- books ---------------------------------------------------------------------------------

    def pending(self, place: str, group: str) -> dict[str, str]:
        """Entries of a place that a group was given and has not settled, and who has each."""
        found = self.redis("XPENDING", bus_keys.stream(self.root, place), group, "-", "+", 10_000)
        return {entry.decode(): owner.decode() for entry, owner, *_ in found}

    def unread(self, place: str, group: str) -> list[str]:
        """Entries that a group was not given yet."""
        key = bus_keys.stream(self.root, place)
        for fields in self.redis("XINFO", "GROUPS", key):
            said = dict(zip(fields[::2], fields[1::2], strict=True))
            if said[b"name"].decode() == group:
                last = said[b"last-delivered-id"].decode()
                return [entry.decode() for entry, _ in self.redis("XRANGE", key, f"({last}", "+")]
        return []

    def audit(self) -> None:
        """Whatever was done, the books balance."""
        held: dict[str, set[str]] = {}
        for name in self._tails("bus:ch:"):
            self._audit_channel(name, held)
        for session_id in self._tails("bus:who:"):
            self._audit_session(session_id, held)
        for group in {*held, *self._tails("bus:held:")}:
            members = self.redis("ZRANGE", bus_keys.held(self.root, group), 0, -1)
            native = {m.decode() for m in members if not m.startswith(b"e")}
            assert native == held.get(group, set()), group

    def _tails(self, head: str) -> list[str]:
        return [name.removeprefix(self.root + head) for name in self.names(f"{head}*")]

    def _audit_channel(self, name: str, held: dict[str, set[str]]) -> None:
        on = self.redis("HGETALL", bus_keys.on(self.root, name))
        bound = [group.decode() for group in on[::2]]
        size = 0
        for lane in "cnl":
            place = lane + name
            if self.redis("EXISTS", bus_keys.stream(self.root, place)):
                size += self._audit_place(place, bound, held)
        assert int(self.redis("HGET", bus_keys.channel(self.root, name), "b") or 0) == size, name

    def _audit_session(self, session_id: str, held: dict[str, set[str]]) -> None:
        """What was said stands in one row, and who has not read it all will be given more."""
        place = f"n~{session_id}"
        turns = self.redis("XRANGE", bus_keys.stream(self.root, place), "-", "+")
        last = int(self.redis("HGET", bus_keys.session(self.root, session_id), "turn"))
        assert [entry for entry, _ in turns] == [b"%d-0" % n for n in range(1, last + 1)]
        on = self.redis("HGETALL", bus_keys.on(self.root, f"~{session_id}"))
        for group in (name.decode() for name in on[::2]):
            pending, unread = self.pending(place, group), self.unread(place, group)
            assert len(pending) <= 1, "one turn at a time"
            held.setdefault(group, set()).update(f"{place} {entry}" for entry in pending)
            if unread and not pending:
                heads = self.redis("ZRANGE", bus_keys.heads(self.root, group), 0, -1)
                known = {entry.decode(): fields for entry, fields in turns}
                own = all(group[1:].encode() in known[entry][-2:] for entry in unread)
                assert own or place.encode() in heads, (group, place)

    def _audit_place(self, place: str, bound: Iterable[str], held: dict[str, set[str]]) -> int:
        owing: dict[str, int] = {}
        for group in bound:
            pending, unread = self.pending(place, group), self.unread(place, group)
            held.setdefault(group, set()).update(f"{place} {entry}" for entry in pending)
            for entry in (*pending, *unread):
                owing[entry] = owing.get(entry, 0) + 1
            if unread and not self._ordered(group):
                heads = self.redis("ZRANGE", bus_keys.heads(self.root, group), 0, -1)
                assert place.encode() in heads, (group, place)
        entries = self.redis("XRANGE", bus_keys.stream(self.root, place), "-", "+")
        assert {entry.decode() for entry, _ in entries} == set(owing), place
        for entry, amount in owing.items():
            left = self.redis("HGET", bus_keys.done(self.root, place[1:]), place[0] + entry)
            assert int(left or 1) == amount, (place, entry)
        return sum(ENTRY_BYTES + _size(fields) for _, fields in entries)

    def _ordered(self, group: str) -> bool:
        text = self.redis("HGET", bus_keys.groups(self.root), group)
        found = groups.read_group(group, text) if text else None
        return found is None or found.ordered


def _size(fields: list[bytes]) -> int:
    said = dict(zip(fields[::2], fields[1::2], strict=True))
    return len(said[b"h"]) + len(said[b"b"])


def made(name: str, *patterns: str, **options: Any) -> Group:
    """A group, not yet anywhere."""
    return groups.group(name, *patterns, **options)
