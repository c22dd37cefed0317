"""What the bus carries: throughput beside raw streams, latency, a mesh of agents, an overflow."""

from __future__ import annotations

import multiprocessing
import time
from itertools import count
from typing import Any, Final
from uuid import uuid4

from coordq import clock
from coordq.bus.group import Group
from coordq.bus.take import Settling, gather, take
from coordq.client.client import Client, connect
from coordq.interfaces.bench.measure import Figures
from coordq.interfaces.bench.messages import (
    BATCH,
    READ,
    TOPIC,
    body,
    cpu_us,
    fill,
    quantile,
    rate_of,
    raw_rate,
)
from coordq.interfaces.bench.server import Server

MESSAGES: Final = 200_000
"""Enough for a second or more: readers that start one after the other change little."""
RATE: Final = 1_000
PACED_S: Final = 8
AGENTS: Final = (2, 100)
MESH: Final = 9_900
OVERFLOW_S: Final = 60.0
BOUND: Final = 100_000
BOUND_BYTES: Final = 8 * 1024 * 1024
SLOW_S: Final = 0.02
LAST: Final = -1
_SPAWN = multiprocessing.get_context("spawn")


def _read(work: tuple[str, int]) -> tuple[float, float, int]:
    """Take and acknowledge until nothing comes; when it began and ended, and how many."""
    url, _ = work
    amount, start, end = 0, 0.0, 0.0
    with connect(url) as client, client.bus.subscribe(group="g", prefetch=READ) as messages:
        done: list[Any] = []
        while True:
            done = messages.receive_many(READ, 1.0, ack=done)
            if not done:
                return start, end, amount
            start = start or clock.monotonic()
            amount += sum(each.body["i"] >= 0 for each in done)
            end = clock.monotonic()


def _throughput(server: Server) -> Figures:
    with connect(server.url) as client:
        client.bus.add_group(Group("g", ("bench.*",)))
        client.bus.bound("**", entries=MESSAGES * 2, max_bytes=2**34)
        fill(client, BATCH)
        raw_published = server.raw.xadd_rate(1.0) / 2
        before = server.snapshot()
        seconds = fill(client, MESSAGES)
        published = server.snapshot()
        raw_published += server.raw.xadd_rate(1.0) / 2  # before and after: machines drift
        filled = server.snapshot()
        rate = rate_of(_read, server.url, 2)
        taken = server.snapshot()
        assert client.bus.channel(TOPIC).entries == 0, "some were lost, or wait for ever"
    server.flush()
    raw_taken = raw_rate(server.raw, server.port, MESSAGES)
    server.flush()
    spent = cpu_us(before.cpu_s, published.cpu_s, MESSAGES)
    return {
        "bus: publish in batches /s": MESSAGES / seconds,
        "bus: publish : raw XADD": MESSAGES / seconds / raw_published,
        "bus: taken and acknowledged, 2 processes /s": rate,
        "bus: taken and acknowledged : raw XREADGROUP": rate / raw_taken,
        "bus: commands per message published": (published.calls - before.calls) / MESSAGES,
        "bus: Redis CPU per message published, us": spent,
        "bus: commands per message taken": (taken.calls - filled.calls) / MESSAGES,
        "bus: Redis CPU per message taken, us": cpu_us(filled.cpu_s, taken.cpu_s, MESSAGES),
    }


# -- latency -------------------------------------------------------------------------------------


def _pace(work: tuple[str, int, float]) -> None:
    """Publish so many a second, each with the moment of its publishing."""
    url, rate, seconds = work
    with connect(url) as client:
        start = clock.monotonic()
        for number in range(int(rate * seconds)):
            time.sleep(max(0.0, start + number / rate - clock.monotonic()))
            client.bus.publish(TOPIC, clock.monotonic())
        client.bus.publish(TOPIC, LAST)


def _latency(server: Server) -> Figures:
    waits: list[float] = []
    with connect(server.url) as client, client.bus.subscribe("bench.*", group="g") as messages:
        publisher = _SPAWN.Process(target=_pace, args=((server.url, RATE, PACED_S),))
        publisher.start()
        done: list[Any] = []
        ended = False
        while not ended:
            done = messages.receive_many(READ, 10.0, ack=done)
            now = clock.monotonic()
            ended = not done or any(each.body == LAST for each in done)
            waits += [now - each.body for each in done if each.body != LAST]
        publisher.join()
    server.flush()
    assert len(waits) == RATE * PACED_S, "some were lost"
    return {
        "bus: publish to receive at 1,000 /s, p50, ms": quantile(waits, 50) * 1000,
        "bus: publish to receive at 1,000 /s, p99, ms": quantile(waits, 99) * 1000,
    }


# -- a mesh --------------------------------------------------------------------------------------


def _mesh_us(server: Server, agents: int) -> tuple[float, float]:
    """Everybody writes to everybody, in turns: seconds and Redis's time for a message, in us."""
    names = [f"agent{number}" for number in range(agents)]
    groups = [f"@{name}" for name in names]
    rounds = MESH // (agents * (agents - 1)) or 1
    amount = rounds * agents * (agents - 1)
    nonces = map(str, count())
    with connect(server.url) as client:
        for group in groups:
            client.bus.add_group(Group(group))
        before, start = server.snapshot().cpu_s, clock.monotonic()
        for _ in range(rounds):
            for name in names:
                client.bus.publish_many(
                    [(f"@{other}", body(0)) for other in names if other != name], sender=name
                )
            seen = _take_all(client, groups, nonces)
            assert seen == agents * (agents - 1), "some were lost"
        seconds, spent = clock.monotonic() - start, server.snapshot().cpu_s - before
    server.flush()
    return seconds / amount * 1e6, spent / amount * 1e6


def _take_all(client: Client, groups: list[str], nonces: Any) -> int:
    """As a worker that hosts all of them."""
    settled: list[Settling] = []
    seen, reader = 0, uuid4().hex
    while True:
        call = take(0, reader, groups, want=READ, nonce=next(nonces), settled=settled)
        given = client.engine.run(call).given
        if not given:
            return seen
        seen += len([each.message() for each in given])
        settled = gather("a", given)


def _mesh(server: Server) -> Figures:
    (few_us, few_redis), (many_us, many_redis) = (_mesh_us(server, amount) for amount in AGENTS)
    return {
        "bus: mesh of 2, us per message": few_us,
        "bus: mesh of 100, us per message": many_us,
        "bus: mesh, per message, 100 : 2": many_us / few_us,
        "bus: mesh of 2, Redis CPU per message, us": few_redis,
        "bus: mesh of 100, Redis CPU per message, us": many_redis,
    }


# -- an overflow ---------------------------------------------------------------------------------


def _flood(work: tuple[str, float]) -> int:
    """Publish as fast as it is let; how many were."""
    url, seconds = work
    amount, end = 0, clock.monotonic() + seconds
    with connect(url) as client:
        while clock.monotonic() < end:
            items = [(TOPIC, body(0)) for _ in range(100)]
            amount += len(client.bus.publish_many(items, timeout=None))
    return amount


def _alarm(work: tuple[str, float]) -> int:
    """A critical message every 50 ms; how many there were."""
    url, seconds = work
    amount, end = 0, clock.monotonic() + seconds
    with connect(url) as client:
        while clock.monotonic() < end:
            client.bus.publish(TOPIC, {"at": clock.monotonic()}, priority="critical")
            amount += 1
            time.sleep(0.05)
    return amount


def _overflow(server: Server) -> Figures:
    """Two processes flood a channel whose reader is ten times slower, until all is read."""
    waits: list[float] = []
    read, most = 0, 0
    with connect(server.url) as client, client.bus.subscribe("bench.*", group="g") as messages:
        client.bus.bound("**", entries=BOUND, max_bytes=BOUND_BYTES)
        empty = server.snapshot().memory
        with _SPAWN.Pool(2) as pool:
            flood = pool.apply_async(_flood, ((server.url, OVERFLOW_S),))
            alarm = pool.apply_async(_alarm, ((server.url, OVERFLOW_S),))
            done: list[Any] = []
            while True:
                busy = not (flood.ready() and alarm.ready())
                done = messages.receive_many(20, 1.0, ack=done)
                now = clock.monotonic()
                waits += [now - each.body["at"] for each in done if "at" in each.body]
                read += len(done)
                if busy:
                    most = max(most, server.snapshot().memory)
                    time.sleep(SLOW_S)
                elif not done:
                    break
            sent = flood.get() + alarm.get()
    server.flush()
    return {
        "bus: overflow, lost of what was published": sent - read,
        "bus: overflow, published": sent,
        "bus: overflow, Redis memory : bound": (most - empty) / BOUND_BYTES,
        "bus: overflow, critical p99, ms": quantile(waits, 99) * 1000,
    }


def bus(server: Server) -> Figures:
    """Throughput, latency, a mesh and an overflow."""
    return {**_throughput(server), **_latency(server), **_mesh(server), **_overflow(server)}
