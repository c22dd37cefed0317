"""What measurements of messages share: publishing, reading side by side, the raw limit."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from statistics import quantiles
from typing import Any, Final

from coordq import clock
from coordq.client.client import Client
from coordq.interfaces.bench.raw import RawClient

BATCH: Final = 500
READ: Final = 100
"""As many as a reader gets at a time who asks for as many as there are."""
TOPIC: Final = "bench.topic"
_PAYLOAD: Final = "x" * 100
_SPAWN: Final = multiprocessing.get_context("spawn")

Span = tuple[float, float, int]
"""When reading began and ended, and how many were read."""


def body(number: int, **more: object) -> dict[str, object]:
    """What a message says."""
    return {"i": number, "payload": _PAYLOAD, **more}


def fill(client: Client, amount: int) -> float:
    """Publish in batches; seconds that it took."""
    start = clock.monotonic()
    for first in range(0, amount, BATCH):
        numbers = range(first, min(first + BATCH, amount))
        client.bus.publish_many([(TOPIC, body(number)) for number in numbers])
    return clock.monotonic() - start


def rate_of(read: Callable[[Any], Span], where: Any, processes: int) -> float:
    """How many a second so many processes read together."""
    with _SPAWN.Pool(processes) as pool:
        spans = pool.map(read, [(where, number) for number in range(processes)], chunksize=1)
    seen = [span for span in spans if span[2]]
    return sum(span[2] for span in seen) / (
        max(span[1] for span in seen) - min(span[0] for span in seen)
    )


def _read_raw(work: tuple[int, int]) -> Span:
    port, number = work
    raw = RawClient(port)
    try:
        return raw.take_all("raw:s", "g", f"c{number}", READ)
    finally:
        raw.close()


def raw_rate(raw: RawClient, port: int, amount: int) -> float:
    """So many a second two processes read, acknowledge and delete with nothing but redis-py."""
    raw.fill_stream("raw:s", "g", amount)
    return rate_of(_read_raw, port, 2)


def cpu_us(before_s: float, after_s: float, amount: int) -> float:
    """What each of many cost, in microseconds."""
    return (after_s - before_s) / amount * 1e6


def quantile(values: list[float], percent: int) -> float:
    """The value that so many percent are below."""
    return quantiles(values, n=100)[percent - 1]
