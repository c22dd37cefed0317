"""What is left in Redis when everything is over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from coordq.engine import keys
from coordq.engine.connection import Engine
from coordq.interfaces.chaos.checker import COUNTED, STANDING
from coordq.interfaces.chaos.history import Rest

PAGE: Final = 1000
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
    return Rest(open_, leases, due, held, dead, flows, seats, parked, counters)


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
