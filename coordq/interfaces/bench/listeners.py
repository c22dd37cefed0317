"""What agents hear in real workers: throughput through `@agent.on`, latency, idle cost."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path
from typing import Final

from coordq import clock
from coordq.bus.group import Group
from coordq.client.client import Client, connect
from coordq.interfaces.bench.crew import wait_until
from coordq.interfaces.bench.fleet import Slots, drain_rate, worker
from coordq.interfaces.bench.measure import Figures, at_rest
from coordq.interfaces.bench.messages import TOPIC, body, cpu_us, fill, quantile, raw_rate
from coordq.interfaces.bench.server import Server

MESSAGES: Final = 40_000
RATE: Final = 1_000
PACED_S: Final = 8
HEARD_BY: Final = "hearer.hears"
_AGENTS: Final = Path(__file__).with_name("hears.py")
_SPAWN: Final = multiprocessing.get_context("spawn")


def _drain(server: Server, children: int) -> Figures:
    """Messages that lie there before the worker starts, until all are acknowledged."""
    slots = Slots(MESSAGES)
    try:
        with connect(server.url) as client:
            client.bus.add_group(Group(HEARD_BY, ("bench.*",)))
            client.bus.bound("**", entries=MESSAGES * 2, max_bytes=2**34)
            fill(client, MESSAGES)
            before = server.snapshot()
            with worker(server.url, slots, children=children, agents=_AGENTS):
                stamps = slots.wait_for(MESSAGES)
                wait_until(lambda: client.bus.channel(TOPIC).entries == 0, "acknowledgements")
                after = server.snapshot()
    finally:
        slots.close()
    server.flush()
    label = "1 process" if children == 1 else f"{children} processes"
    figures = {f"listeners: handled, {label} /s": drain_rate(stamps, children)}
    if children == 1:
        calls, spent = after.calls - before.calls, cpu_us(before.cpu_s, after.cpu_s, MESSAGES)
        figures["listeners: commands per message handled"] = calls / MESSAGES
        figures["listeners: Redis CPU per message handled, us"] = spent
    return figures


def _throughput(server: Server) -> Figures:
    one, two = _drain(server, 1), _drain(server, 2)
    raw = raw_rate(server.raw, server.port, MESSAGES)
    server.flush()
    rate = two["listeners: handled, 2 processes /s"]
    return {**one, **two, "listeners: handled : raw XREADGROUP": rate / raw}


def _pace(work: tuple[str, int, float]) -> None:
    """Publish so many a second, each with the moment of its publishing."""
    url, rate, seconds = work
    with connect(url) as client:
        start = clock.monotonic()
        for number in range(int(rate * seconds)):
            time.sleep(max(0.0, start + number / rate - clock.monotonic()))
            client.bus.publish(TOPIC, body(number, sent=clock.monotonic()))


def _latency(server: Server) -> Figures:
    """From before the call that publishes to within the handler, on one machine's clock."""
    amount = RATE * PACED_S
    slots = Slots(amount)
    try:
        with (
            connect(server.url) as client,
            worker(server.url, slots, children=2, agents=_AGENTS),
        ):
            _until_heard(client, slots)
            publisher = _SPAWN.Process(target=_pace, args=((server.url, RATE, PACED_S),))
            publisher.start()
            waits = [wait for wait, _ in slots.wait_for(amount)]
            publisher.join()
    finally:
        slots.close()
    server.flush()
    return {
        "listeners: publish to handler at 1,000 /s, p50, ms": quantile(waits, 50) * 1000,
        "listeners: publish to handler at 1,000 /s, p99, ms": quantile(waits, 99) * 1000,
    }


def _until_heard(client: Client, slots: Slots) -> None:
    """Wait until a worker listens, and has handled its first message, in the first slot."""
    wait_until(lambda: client.bus.publish(TOPIC, {"i": 0}).receivers, "a listener")
    slots.wait_for(1)


def _idle(server: Server) -> Figures:
    """A worker that listens to two topics and a mailbox while nothing is said."""
    slots = Slots(1)
    try:
        with connect(server.url) as client, worker(server.url, slots, agents=_AGENTS) as process:
            _until_heard(client, slots)
            rest = at_rest(server, client, process.pid)
    finally:
        slots.close()
    server.flush()
    return {
        "listeners: idle worker, Redis commands /s": rest.commands,
        "listeners: idle worker, % of a core": rest.percent,
    }


def listeners(server: Server) -> Figures:
    """Throughput, latency and the cost of listening."""
    return {**_throughput(server), **_latency(server), **_idle(server)}
