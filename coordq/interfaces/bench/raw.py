"""The physical limits: the plainest commands that redis-py can send, on the same server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

from coordq import clock

PAYLOAD = b"x" * 100
PIPE = 500
_LUA = "return redis.call('LPUSH', KEYS[1], ARGV[1])"


class RawClient:
    """redis-py as its users use it, for probing and for asking the server."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._redis = redis.Redis(host=host, port=port)
        try:
            self._redis.execute_command("INFO", "server")  # which a Sentinel answers as well
        except redis.ConnectionError as error:
            raise ConnectionError(str(error)) from error
        self._asking = redis.Redis(host=host, port=port)
        self._asking.response_callbacks.clear()

    def command(self, *words: str | bytes | float) -> Any:
        """Any command; its reply unread."""
        return self._asking.execute_command(*words)

    def evalsha_rate(self, seconds: float) -> float:
        """EVALSHAs of a script with one LPUSH a second, one at a time."""
        sha = self._redis.script_load(_LUA)
        return self._rate(lambda: self._redis.evalsha(sha, 1, "raw:l", PAYLOAD), 1, seconds)

    def xadd_rate(self, seconds: float) -> float:
        """XADDs a second, in pipelines of 500."""

        def pipe() -> None:
            pipeline = self._redis.pipeline(transaction=False)
            for _ in range(PIPE):
                pipeline.xadd("raw:s", {"d": PAYLOAD})
            pipeline.execute()

        return self._rate(pipe, PIPE, seconds)

    def fill_stream(self, key: str, group: str, amount: int) -> None:
        """So many entries, and a group that has read none of them."""
        self._redis.xgroup_create(key, group, "0", mkstream=True)
        for _ in range(0, amount, PIPE):
            pipeline = self._redis.pipeline(transaction=False)
            for _ in range(PIPE):
                pipeline.xadd(key, {"d": PAYLOAD})
            pipeline.execute()

    def take_all(
        self, key: str, group: str, consumer: str, amount: int
    ) -> tuple[float, float, int]:
        """XREADGROUP, then XACK and XDEL in a pipeline, to the end: from, to, how many."""
        start, taken = clock.monotonic(), 0
        while True:
            read: Any = self._redis.xreadgroup(group, consumer, {key: ">"}, count=amount)
            if not read:
                return start, clock.monotonic(), taken
            ids = [entry[0] for entry in read[0][1]]
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.xack(key, group, *ids)
            pipeline.xdel(key, *ids)
            pipeline.execute()
            taken += len(ids)

    def _rate(self, once: Callable[[], object], amount: int, seconds: float) -> float:
        once()
        done, start = 0, clock.monotonic()
        while (passed := clock.monotonic() - start) < seconds:
            once()
            done += amount
        self._redis.delete("raw:l", "raw:s")
        return done / passed

    def close(self) -> None:
        """Hang up."""
        self._redis.close()
        self._asking.close()
