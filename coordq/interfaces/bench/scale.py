"""Does a task cost the same when there are very many? Counted in Redis's CPU."""

from __future__ import annotations

from coordq.client.client import Client, connect
from coordq.interfaces.bench.measure import BULK, Figures, _items
from coordq.interfaces.bench.server import Server
from coordq.work.claim import Ask, Claim, claim, serve
from coordq.work.finish import Outcome, finish

ROUNDS = 100
BATCH = 20
QUEUED = (1_000, 1_000_000)
RUNNING = (10, 50_000)
_LEASE_MS = 3_600_000


def _ask(nonce: int, want: int) -> Ask:
    return Ask("bench/0:a", str(nonce), want, "default", serve(["noop"]), _LEASE_MS)


def _claim(client: Client, nonce: int, want: int) -> tuple[Claim, ...]:
    return client.engine.run(claim(0, _ask(nonce, want))).claims


def _cycle_us(server: Server, client: Client) -> float:
    """Redis's CPU for one task: enqueued in bulk, claimed and finished in batches of 20."""
    before = server.snapshot()
    for nonce in range(ROUNDS):
        client.work.enqueue_many(_items(0, BATCH))
        claims = _claim(client, 1_000_000 + nonce, BATCH)
        outcomes = [Outcome("succeeded", one.id, one.fence, b"1") for one in claims]
        client.engine.run(finish(0, outcomes))
    after = server.snapshot()
    return (after.cpu_s - before.cpu_s) / (ROUNDS * BATCH) * 1e6


def _queue(client: Client, amount: int) -> None:
    for first in range(0, amount, 20 * BULK):
        client.work.enqueue_many(_items(first, min(20 * BULK, amount - first)))


def flat(server: Server) -> Figures:
    """A task's cost with few and with very many queued, and with few and very many running."""
    figures: Figures = {}
    for amount in QUEUED:
        with connect(server.url) as client:
            _queue(client, amount)
            figures[f"CPU of a task with {amount:,} queued, us"] = _cycle_us(server, client)
        server.flush()
    for amount in RUNNING:
        with connect(server.url) as client:
            _queue(client, amount)
            for nonce in range(-(-amount // BULK)):
                _claim(client, nonce, min(BULK, amount))
            figures[f"CPU of a task with {amount:,} running, us"] = _cycle_us(server, client)
        server.flush()
    return figures
