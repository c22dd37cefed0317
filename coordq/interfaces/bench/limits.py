"""Whether limits hold: rates over a minute with eight workers, concurrency through crashes."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from itertools import pairwise

from coordq.client.client import connect
from coordq.interfaces.bench.fleet import Slots, worker
from coordq.interfaces.bench.measure import BULK, Figures
from coordq.interfaces.bench.server import Server

WORKERS = 8
RATE, WINDOW_S = 100, 60
AT_ONCE, NAPS, KILLS = 5, 600, 5


def _accuracy(server: Server, window: str) -> Figures:
    """Starts in a minute under a limit that has more to do than it lets through."""
    amount = RATE * (WINDOW_S + 10)
    slots = Slots(amount)
    with connect(server.url) as client:
        client.limits.set("remote", rate=(RATE, 1), window=window)
        for first in range(0, amount, BULK):
            items = [("noop", {"i": i}) for i in range(first, min(first + BULK, amount))]
            client.work.enqueue_many(items, limits=["remote"])
        try:
            with worker(server.url, slots, children=WORKERS):
                begun = len(slots.wait_for(3 * RATE))  # by then all of them are there
                time.sleep(WINDOW_S + 3)
                moments = sorted(at for at, _ in slots.stamps())
        finally:
            slots.close()
    server.flush()
    # under a sliding window they start in bursts: a minute begins with one
    start = max(pairwise(moments[begun : begun + 2 * RATE]), key=lambda pair: pair[1] - pair[0])[1]
    started = sum(start <= at < start + WINDOW_S for at in moments)
    off = (started / (RATE * WINDOW_S) - 1) * 100
    return {
        f"rate ({window}): {RATE} /s over {WINDOW_S} s, {WORKERS} workers, % off": abs(off),
        f"rate ({window}): starts in {WINDOW_S} s": started,
    }


def most_at_once(spans: list[tuple[float, float]]) -> int:
    """How many of these overlap at most."""
    steps = [(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans]
    running = most = 0
    for _, step in sorted(steps):
        running += step
        most = max(most, running)
    return most


def _kill_one(slots: Slots) -> None:
    """Kill a process that naps; what it ran comes back, and keeps its slot until it does."""
    while True:
        stamps = slots.read()
        for (_, pid), (_, woke) in zip(stamps[::2], stamps[1::2], strict=True):
            if pid and not woke:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    return


def _concurrency(server: Server) -> Figures:
    """Tasks that take a while, five at once at most, while children of the worker are killed."""
    slots = Slots(2 * NAPS)
    with connect(server.url) as client:
        client.limits.set("remote", concurrency=AT_ONCE)
        for first in range(0, NAPS, BULK):
            items = [("nap", {"i": i, "ms": 20}) for i in range(first, min(first + BULK, NAPS))]
            client.work.enqueue_many(items, limits=["remote"])
        try:
            with worker(server.url, slots, children=WORKERS):
                for turn in range(KILLS):
                    slots.wait_for(2 * NAPS * turn // (KILLS + 1) + 1)
                    _kill_one(slots)
                ends = [at for at, _ in slots.wait_for(2 * NAPS)]
        finally:
            slots.close()
    server.flush()
    return {
        f"concurrency {AT_ONCE}: most at once, {KILLS} kills": most_at_once(
            list(zip(ends[::2], ends[1::2], strict=True))
        )
    }


def limits(server: Server) -> Figures:
    """Both kinds of rate limit, and concurrency."""
    return _accuracy(server, "bucket") | _accuracy(server, "sliding") | _concurrency(server)
