"""Does a namespace that is spread over more primaries get more done?

A machine with two cores cannot show that by its clock: client, worker and all primaries share them.
So beside the rates stands what Redis itself is busy with, by its own count: the time in scripts for
a task, and how many tasks a second the busiest primary could serve with a core of its own.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from coordq import clock
from coordq.client.client import connect
from coordq.engine import keys
from coordq.engine.address import DEFAULT_NAMESPACE
from coordq.engine.schema import read_info
from coordq.interfaces.bench.fleet import Slots, drain_rate, worker
from coordq.interfaces.bench.measure import Figures, fill
from coordq.interfaces.bench.server import Server

PRIMARIES = (1, 2, 3)
TASKS = 20_000
SLOTS = 16_384
JOIN_S = 30.0
_PORTS = range(11_000, 22_000)
_BUS = 10_000
"""A node talks to the others on a port that is so much higher."""


@contextmanager
def cluster(primaries: int) -> Iterator[list[Server]]:
    """A Cluster on loopback; shard k of the default namespace lives on primary k."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(_node()) for _ in range(primaries)]
        for node in nodes[1:]:
            nodes[0].raw.command("CLUSTER", "MEET", "127.0.0.1", node.port)
        for node, slots in zip(nodes, _deal(nodes), strict=True):
            node.raw.command("CLUSTER", "ADDSLOTS", *slots)
        deadline = clock.monotonic() + JOIN_S
        while not all(_is_ready(node, primaries) for node in nodes):
            if clock.monotonic() > deadline:
                raise TimeoutError("the nodes did not become a Cluster")
            time.sleep(0.05)
        yield nodes


def _node() -> Server:
    """A node on a free port whose bus port is free as well."""
    for port in random.sample(_PORTS, len(_PORTS)):
        with suppress(OSError), socket.socket() as own, socket.socket() as bus:
            own.bind(("127.0.0.1", port))
            bus.bind(("127.0.0.1", port + _BUS))
            break
    return Server(
        *("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"),
        *("--cluster-announce-ip", "127.0.0.1"),
        port=port,
    )


def _deal(nodes: Sequence[Server]) -> list[list[int]]:
    """The slots of each node: those of its shard, and a fair part of the others."""
    root = [keys.root(DEFAULT_NAMESPACE, shard) for shard in range(len(nodes))]
    own = [int(nodes[0].raw.command("CLUSTER", "KEYSLOT", key)) for key in root]
    rest = [slot for slot in range(SLOTS) if slot not in own]
    return [[own[at], *rest[at :: len(nodes)]] for at in range(len(nodes))]


def _is_ready(node: Server, primaries: int) -> bool:
    facts = read_info(node.raw.command("CLUSTER", "INFO"))
    return facts["cluster_state"] == "ok" and int(facts["cluster_size"]) == primaries


def _measure(primaries: int) -> Figures:
    slots = Slots(TASKS)
    with cluster(primaries) as nodes:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        url = f"redis+cluster://{hosts}?shards={primaries}"
        before = [(node.script_us(), node.snapshot().cpu_s) for node in nodes]
        with connect(url) as client:
            start = clock.monotonic()
            fill(client, TASKS)
            enqueued_s = clock.monotonic() - start
            try:
                with worker(url, slots):
                    stamps = slots.wait_for(TASKS)
                    while client.work.queue("default").succeeded < TASKS:
                        time.sleep(0.01)
            finally:
                slots.close()
        after = [(node.script_us(), node.snapshot().cpu_s) for node in nodes]
    script_us = [late - early for (late, _), (early, _) in zip(after, before, strict=True)]
    cpu_s = [late - early for (_, late), (_, early) in zip(after, before, strict=True)]
    label = "1 primary" if primaries == 1 else f"{primaries} primaries"
    return {
        f"enqueue in bulk, {label} /s": TASKS / enqueued_s,
        f"drain, {label} /s": drain_rate(stamps, 1),
        f"time in scripts per task, {label}, us": sum(script_us) / TASKS,
        f"busiest of {label}, % of Redis's CPU": max(cpu_s) / sum(cpu_s) * 100,
        f"Redis-bound, {label} /s": TASKS / max(cpu_s),
    }


def spread() -> Figures:
    """The same tasks on 1, 2 and 3 primaries, with as many shards."""
    figures: Figures = {}
    for primaries in PRIMARIES:
        figures |= _measure(primaries)
    return figures
