"""What is left in Redis when everything is over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from coordq.bus.dead import dead as dead_messages
from coordq.bus.look import GroupView, groups, merge
from coordq.bus.session import look
from coordq.engine import bus_keys, keys
from coordq.engine.connection import Engine
from coordq.interfaces.chaos.bus_told import BusRest, TurnLeft
from coordq.interfaces.chaos.checker import COUNTED, STANDING
from coordq.interfaces.chaos.history import Rest
from coordq.interfaces.chaos.listeners import CHORUS, TO_ALL

PAGE: Final = 1000
PAGE_OF_DEAD: Final = 500
_ENDED: Final = b"sfc"
_STATES: Final = {
    b"w": "waiting",
    b"d": "scheduled",
    b"q": "ready",
    b"r": "running",
    b"p": "suspended",
}


def read_rest(engine: Engine) -> Rest:
    """Everything that a finished run should have cleared away, and what it should have kept."""
    open_: dict[str, str] = {}
    leases: list[str] = []
    due: list[str] = []
    held: dict[str, str] = {}
    dead: dict[str, str] = {}
    flows: list[str] = []
    seats: dict[str, list[str]] = {}
    parked: dict[str, list[str]] = {}
    counters: dict[int, dict[str, dict[str, int]]] = {}
    for shard in range(engine.shards):
        root = keys.root(engine.namespace, shard)
        leases += _members(engine, shard, keys.lease(root))
        flows += _members(engine, shard, keys.flows_open(root))
        due += _members(engine, shard, keys.due(root))
        for name, record in _strings(engine, shard, keys.task(root, "")):
            if record[:1] not in _ENDED:
                open_[name] = _STATES.get(record[:1], record[:1].decode(errors="replace"))
            elif record[:1] == b"f":
                dead[name] = _reason(record)
        held |= {
            name: holder.decode() for name, holder in _strings(engine, shard, keys.unique(root, ""))
        }
        seats |= _sets(engine, shard, keys.holders(root, ""))
        parked |= _sets(engine, shard, keys.park(root, ""))
        counters[shard] = {
            queue.decode(): _counters(engine, shard, keys.queue(root, queue.decode()))
            for queue in engine.execute(shard, "SMEMBERS", keys.queues(root))
        }
    bus = read_bus(engine)
    return Rest(open_, leases, due, held, dead, flows, seats, parked, counters, bus)


def read_bus(engine: Engine) -> BusRest:
    """What is left of messages.

    But for those to all processes: what waits for one that is gone stays for a minute.
    """
    held: dict[str, list[str]] = {}
    heads: dict[str, list[str]] = {}
    left: dict[str, int] = {}
    dead: dict[tuple[str, str], str] = {}
    transcripts: dict[str, list[TurnLeft]] = {}
    for shard in range(engine.shards):
        root = keys.root(engine.namespace, shard)
        for known, prefix in ((held, bus_keys.held), (heads, bus_keys.heads)):
            for group, members in _of_groups(engine, shard, prefix(root, "")):
                known.setdefault(group, []).extend(members)
        left |= _entries(engine, shard, bus_keys.stream(root, ""))
        dead |= _dead_messages(engine, shard)
        for session_id in _members(engine, shard, bus_keys.sessions(root)):
            transcripts[session_id] = _transcript(engine, session_id)
    views = merge(view for shard in range(engine.shards) for view in _groups(engine, shard))
    figures = {view.name: view.figures for view in views if not view.group.ephemeral}
    return BusRest(held, heads, left, dead, transcripts, figures)


def _of_groups(engine: Engine, shard: int, prefix: str) -> Iterator[tuple[str, list[str]]]:
    """Sorted sets by the name of a group, but for groups of one process."""
    for group, members in _sets(engine, shard, prefix).items():
        if not group.startswith(CHORUS):
            yield group, members


def _entries(engine: Engine, shard: int, prefix: str) -> dict[str, int]:
    """How much lies in each place."""
    found: dict[str, int] = {}
    for page in _scan(engine, shard, prefix):
        for key in page:
            place = key.decode().removeprefix(prefix)
            if place[1:2] != "~" and place[1:] != TO_ALL:
                found[place] = int(engine.execute(shard, "XLEN", key))
    return found


def _groups(engine: Engine, shard: int) -> Iterator[GroupView]:
    cursor = "0"
    while True:
        cursor, page = engine.run(groups(shard, cursor=cursor))
        yield from page
        if cursor == "0":
            return


def _dead_messages(engine: Engine, shard: int) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    before = "+"
    while page := engine.run(dead_messages(shard, before, limit=PAGE_OF_DEAD)):
        found |= {(one.group, one.message().id): one.reason for one in page}
        before = page[-1].id.partition("/")[2]
    return found


def _transcript(engine: Engine, session_id: str) -> list[TurnLeft]:
    found: list[TurnLeft] = []
    while True:
        after = found[-1].number if found else 0
        _, page = engine.run(look(session_id, after=after, limit=PAGE))
        found += [TurnLeft(one.number, one.speaker, one.message.id, one.body) for one in page]
        if len(page) < PAGE:
            return found


def _members(engine: Engine, shard: int, key: str) -> list[str]:
    return [member.decode() for member in engine.execute(shard, "ZRANGE", key, 0, -1)]


def _sets(engine: Engine, shard: int, prefix: str) -> dict[str, list[str]]:
    """The members of all sorted sets whose key begins so, by the rest of the key."""
    return {
        key.decode().removeprefix(prefix): _members(engine, shard, key.decode())
        for page in _scan(engine, shard, prefix)
        for key in page
    }


def _strings(engine: Engine, shard: int, prefix: str) -> Iterator[tuple[str, bytes]]:
    """(rest of the key, value) of all strings whose key begins so."""
    for page in _scan(engine, shard, prefix):
        values = engine.execute(shard, "MGET", *page)
        for key, value in zip(page, values, strict=True):
            if value is not None:
                yield key.decode().removeprefix(prefix), value


def _scan(engine: Engine, shard: int, prefix: str) -> Iterator[list[bytes]]:
    """All keys that begin so, in pages."""
    cursor = b"0"
    # the braces of a hash tag mean nothing in a pattern
    while True:
        cursor, found = engine.execute(shard, "SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", PAGE)
        if found:
            yield found
        if cursor == b"0":
            return


def _counters(engine: Engine, shard: int, key: str) -> dict[str, int]:
    names = (*COUNTED, *STANDING)
    values: Any = engine.execute(shard, "HMGET", key, *names)
    return {name: int(value or 0) for name, value in zip(names, values, strict=True)}


def _reason(record: bytes) -> str:
    """Why a dead letter is one; empty when its record does not say."""
    try:
        told = json.loads(record.rpartition(b"\n")[2])
    except ValueError:
        return ""
    return str(told.get("reason", "")) if isinstance(told, dict) else ""
