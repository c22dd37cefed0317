"""What tests of causal order share."""

from __future__ import annotations

from coordq.client.client import Client

LONG = 600.0
"""Patience that no test waits for."""


def sharded(url: str, shards: int) -> str:
    """The same server, with so many shards."""
    return f"{url}{'&' if '?' in url else '?'}shards={shards}"


def now_ms(client: Client) -> int:
    """By Redis's clock."""
    seconds, micros = client.engine.execute(0, "TIME")
    return int(seconds) * 1000 + int(micros) // 1000


def until(client: Client) -> list[float]:
    """When each message that group g holds is given out again."""
    key = f"cq:{{{client.namespace}.0}}:bus:held:g"
    return [
        float(score) for score in client.engine.execute(0, "ZRANGE", key, 0, -1, "WITHSCORES")[1::2]
    ]
