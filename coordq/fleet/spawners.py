"""The fleets that `coordq fleet up` runs: how their spawners are known, and told what to do."""

from __future__ import annotations

import json
from typing import Any, Final

from coordq.engine.call import Call

TTL_MS: Final = 10_000
"""A spawner that has not been heard for so long is gone, and its name free."""
ORDER_TTL_MS: Final = 60_000

Facts = dict[str, Any]


def inbox_of(name: str) -> str:
    """What the inbox of a fleet's spawner is called."""
    return f"fleet.{name}"


def answers_of(order_id: str) -> str:
    """What the inbox is called in which somebody waits for what becomes of an order."""
    return f"order.{order_id}"


def enlist(
    name: str, info: Facts, *, instance: str, former: str = "", ttl_ms: int = TTL_MS
) -> Call[Facts | None]:
    """A spawner says that it runs; the reply is what another says that has its name, or None.

    instance: the spawner's own word, which `info` must hold. former: of one that is dead.
    """
    assert info["instance"] == instance, "by it the script knows whose an entry is"
    text = json.dumps(info, separators=(",", ":"))

    def read(reply: Any) -> Facts | None:
        return _facts(reply) if reply else None

    return Call("fleet/enlist", 0, (name, instance, former, ttl_ms, text), read)


def delist(name: str, *, instance: str) -> Call[bool]:
    """A spawner has ended; true when the name was its own."""
    return Call("fleet/delist", 0, (name, instance), lambda reply: reply == 1)


def enlisted() -> Call[list[Facts]]:
    """What all spawners say of themselves that run, in the order of their names."""
    return Call("fleet/enlisted", 0, (), lambda reply: [_facts(text) for text in reply])


def order(name: str, message: Facts, *, ttl_ms: int = ORDER_TTL_MS) -> Call[bool]:
    """Tell a spawner what to do; false when none of this name runs. `message` has an `id`."""
    assert message["id"], "an order that comes twice must be known as one"
    text = json.dumps(message, separators=(",", ":"))
    return Call("fleet/order", 0, (name, text, ttl_ms), lambda reply: reply == 1)


def answer(order_id: str, message: Facts, *, ttl_ms: int = ORDER_TTL_MS) -> Call[int]:
    """A spawner says what becomes of an order; how many answers nobody has fetched yet."""
    text = json.dumps(message, separators=(",", ":"))
    return Call("fleet/answer", 0, (order_id, text, ttl_ms), int)


def _facts(text: bytes) -> Facts:
    """What a spawner says; nothing when it is not what a spawner would say."""
    try:
        facts = json.loads(text)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}
