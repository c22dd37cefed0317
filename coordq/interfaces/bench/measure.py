"""One function per figure. Each returns named numbers and leaves the server empty."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from statistics import quantiles
from typing import NamedTuple

from coordq import clock
from coordq.client.client import Client, connect
from coordq.client.client_async import connect_async
from coordq.fleet.election import standing
from coordq.interfaces.bench.crew import Crew, wait_until
from coordq.interfaces.bench.fleet import Slots, drain_rate, worker
from coordq.interfaces.bench.server import Server, cpu_seconds, pss_mb

Figures = dict[str, float]
PAYLOAD = "x" * 100
BULK = 500
ONE, MANY, DRAIN, TRIPS, IDLE_S, PROBE_S = 5_000, 20_000, 20_000, 1_000, 10.0, 0.5
CALLERS = 100
_WARM = 500


def _items(first: int, amount: int) -> list[tuple[str, dict[str, object]]]:
    return [("noop", {"i": i, "payload": PAYLOAD}) for i in range(first, first + amount)]


def fill(client: Client, amount: int) -> None:
    """Enqueue so many no-op tasks, 500 a call."""
    for first in range(0, amount, BULK):
        client.work.enqueue_many(_items(first, min(BULK, amount - first)))


def enqueue_one(server: Server) -> Figures:
    """Sync, one at a time, against EVALSHA of a one-line script taken just before and after."""
    with connect(server.url) as client:
        for i in range(_WARM):
            client.work.enqueue("noop", {"i": i, "payload": PAYLOAD})
        before = server.raw.evalsha_rate(PROBE_S)
        start = clock.monotonic()
        for i in range(ONE):
            client.work.enqueue("noop", {"i": i, "payload": PAYLOAD})
        rate = ONE / (clock.monotonic() - start)
        raw = (before + server.raw.evalsha_rate(PROBE_S)) / 2
    server.flush()
    return {"enqueue one /s": rate, "raw EVALSHA /s": raw, "enqueue one : raw EVALSHA": rate / raw}


def enqueue_async(server: Server) -> Figures:
    """From 100 coroutines at once, which share calls."""

    async def caller(client: object, amount: int) -> None:
        for i in range(amount):
            await client.work.enqueue("noop", {"i": i, "payload": PAYLOAD})  # type: ignore[attr-defined]

    async def measure() -> float:
        async with connect_async(server.url) as client:
            await caller(client, _WARM)
            start = clock.monotonic()
            await asyncio.gather(*(caller(client, MANY // CALLERS) for _ in range(CALLERS)))
            return MANY / (clock.monotonic() - start)

    rate = asyncio.run(measure())
    server.flush()
    return {"enqueue from 100 coroutines /s": rate}


def enqueue_bulk(server: Server) -> Figures:
    """500 a call, against XADD in pipelines of 500; bytes of 10,000 queued tasks; Redis's CPU."""
    with connect(server.url) as client:
        fill(client, 100)
        first = server.snapshot()
        fill(client, 10_000)
        second = server.snapshot()
        server.flush()
    with connect(server.url) as client:
        fill(client, _WARM)
        before = server.raw.xadd_rate(PROBE_S)
        third = server.snapshot()
        start = clock.monotonic()
        fill(client, MANY)
        rate = MANY / (clock.monotonic() - start)
        last = server.snapshot()
        raw = (before + server.raw.xadd_rate(PROBE_S)) / 2
    server.flush()
    return {
        "bulk /s": rate,
        "raw XADD, pipelines of 500 /s": raw,
        "bulk : raw XADD": rate / raw,
        "bytes per queued task": (second.memory - first.memory) / 10_000,
        "Redis CPU per bulk-enqueued task, us": (last.cpu_s - third.cpu_s) / MANY * 1e6,
        "commands per bulk-enqueued task": (last.calls - third.calls) / MANY,
    }


def drain(server: Server, children: int) -> Figures:
    """No-op tasks, queued before the worker starts; results kept, events on."""
    slots = Slots(DRAIN)
    with connect(server.url) as client:
        fill(client, DRAIN)
        before = server.snapshot()
        try:
            with worker(server.url, slots, children=children):
                stamps = slots.wait_for(DRAIN)
                while client.work.queue("default").succeeded < DRAIN:
                    time.sleep(0.01)
                after = server.snapshot()
            lost = DRAIN - client.work.queue("default").succeeded
        finally:
            slots.close()
    server.flush()
    assert lost == 0, f"{lost} tasks were lost"
    label = "1 process" if children == 1 else f"{children} processes"
    figures = {f"drain, {label} /s": drain_rate(stamps, children)}
    if children == 1:
        figures["Redis CPU per drained task, us"] = (after.cpu_s - before.cpu_s) / DRAIN * 1e6
        figures["commands per drained task"] = (after.calls - before.calls) / DRAIN
    return figures


def round_trip(server: Server) -> Figures:
    """Enqueue, run on an idle worker, result in hand; one after the other."""
    slots = Slots(TRIPS + _WARM)
    spent = []
    with connect(server.url) as client, worker(server.url, slots):
        for i in range(TRIPS + _WARM):
            start = clock.monotonic()
            result = client.work.run("noop", {"i": i}, wait_for=30)
            if i >= _WARM:
                spent.append((clock.monotonic() - start) * 1000)
            assert result == i, "a result of another task"
    slots.close()
    server.flush()
    cuts = quantiles(spent, n=100)
    return {"round trip p50, ms": cuts[49], "round trip p99, ms": cuts[98]}


class Rest(NamedTuple):
    """What a worker with nothing to do costs, its parent and its child together."""

    commands: float
    """Of Redis, a second."""
    percent: float
    """Of a core."""
    memory: float
    """The child's, MB (PSS)."""


def at_rest(server: Server, client: Client, pid: int) -> Rest:
    """What the only worker there is costs, once it has come to rest. pid: its parent's."""
    child = int(client.work.workers()[0].info["children"][0]["pid"])
    time.sleep(1)
    before, cpu = server.snapshot(), cpu_seconds(pid) + cpu_seconds(child)
    time.sleep(IDLE_S)
    after, later = server.snapshot(), cpu_seconds(pid) + cpu_seconds(child)
    calls = (after.calls - before.calls) / IDLE_S
    return Rest(calls, (later - cpu) / IDLE_S * 100, pss_mb(child))


def idle(server: Server) -> Figures:
    """A worker that has had one task and gets no other."""
    slots = Slots(1)
    with connect(server.url) as client, worker(server.url, slots) as process:
        client.work.run("noop", {"i": 0}, wait_for=30)
        rest = at_rest(server, client, process.pid)
    slots.close()
    server.flush()
    return {
        "idle worker, Redis commands /s": rest.commands,
        "idle worker, % of a core": rest.percent,
        "worker child, MB (PSS)": rest.memory,
    }


def idle_supervisor(server: Server) -> Figures:
    """What a supervisor costs that leads no fleet, and one more that waits."""
    with connect(server.url) as client, Crew() as crew:

        def used(name: str, known: int) -> tuple[float, float]:
            member = crew.supervisor(name, server.url)
            wait_until(lambda: len(client.engine.run(standing()).supervisors) == known, name)
            time.sleep(1)
            before, cpu = server.snapshot(), cpu_seconds(member.pid)
            time.sleep(IDLE_S)
            after, later = server.snapshot(), cpu_seconds(member.pid)
            return (after.calls - before.calls) / IDLE_S, (later - cpu) / IDLE_S * 100

        leading, leading_cpu = used("leads", 1)
        both, waiting_cpu = used("waits", 2)
    server.flush()
    return {
        "idle leader, Redis commands /s": leading,
        "idle leader, % of a core": leading_cpu,
        "waiting supervisor, Redis commands /s": both - leading,
        "waiting supervisor, % of a core": waiting_cpu,
    }


def start_up() -> Figures:
    """What a shell waits for."""

    def spent(*command: str) -> float:
        start = clock.monotonic()
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
        return (clock.monotonic() - start) * 1000

    bare = min(spent("-c", "pass") for _ in range(3))
    return {
        "import coordq, ms": spent("-c", "import coordq") - bare,
        "coordq --help, ms": spent("-m", "coordq", "--help"),
    }
