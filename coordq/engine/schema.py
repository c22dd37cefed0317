"""What we need of a server, and which version of the key space we write.

The version is in `meta` of shard 0. A client refuses a namespace whose version it does not write,
so a rolling upgrade across a change of the key space needs a new namespace, or a drained one.
"""

from __future__ import annotations

from typing import Any, Final

from coordq.engine.address import Address
from coordq.engine.call import Call
from coordq.errors import SchemaMismatch, ServerEvicts, ServerTooOld
from coordq.ids import SHARDS_MAX

SCHEMA: Final = 1
OLDEST: Final = (6, 2)


def read_info(reply: bytes) -> dict[str, str]:
    """The fields of an INFO reply."""
    rows = (row.partition(":") for row in reply.decode(errors="replace").splitlines())
    return {name: value.strip() for name, mark, value in rows if mark}


def read_time(reply: Any) -> int:
    """The moment of a TIME reply, in milliseconds."""
    seconds, micros = reply
    return int(seconds) * 1000 + int(micros) // 1000


def check(info: bytes, address: Address) -> None:
    """Raise ServerTooOld or ServerEvicts when work would not be safe on this server."""
    fields = read_info(info)
    version = fields.get("redis_version", "0.0.0")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST:
        raise ServerTooOld(
            f"The Redis at {address.shown} is {version}; coordq needs 6.2 or newer. Upgrade it, "
            "or leave COORDQ_URL unset to use the embedded one.",
            version=version,
        )
    policy = fields.get("maxmemory_policy", "noeviction")
    if fields.get("maxmemory", "0") != "0" and policy != "noeviction":
        raise ServerEvicts(
            f"The Redis at {address.shown} deletes keys when full (maxmemory-policy {policy}), and "
            "would delete tasks. Run: redis-cli config set maxmemory-policy noeviction",
            policy=policy,
        )


def _number(text: Any) -> int | None:
    return int(text) if isinstance(text, bytes) and text.isdigit() else None


def hello(address: Address) -> Call[int]:
    """How many shards the namespace has; the first caller decides."""

    def read(reply: Any) -> int:
        schema, shards = _number(reply[0]), _number(reply[1])
        if schema is None or shards is None or not 1 <= shards <= SHARDS_MAX:
            raise SchemaMismatch(
                f"The layout of namespace {address.namespace!r} was not written by coordq: "
                f"{reply!r:.80}. Use another namespace."
            )
        if schema != SCHEMA:
            raise SchemaMismatch(
                f"Namespace {address.namespace!r} is written in key space {schema}, this coordq "
                f"writes {SCHEMA}. Use the coordq that wrote it, or another namespace.",
                schema=schema,
            )
        if address.shards not in {0, shards}:
            raise SchemaMismatch(
                f"Namespace {address.namespace!r} has {shards} shards, not {address.shards}. "
                "Leave shards out of the URL, or use another namespace.",
                shards=shards,
            )
        return shards

    return Call("engine/hello", 0, (SCHEMA, address.shards), read)
