"""Work done by hand, one call after the other: what Redis does for it is all that is measured."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from coordq.client.client import Client
from coordq.interfaces.bench.server import Server
from coordq.work.claim import Ask, Claim, claim, serve
from coordq.work.finish import Outcome, finish

BATCH = 100
_LEASE_MS = 3_600_000
_nonces = count()


def ask(want: int) -> Ask:
    """An ask for no-op tasks."""
    return Ask("bench/0:a", f"d{next(_nonces)}", want, "default", serve(["noop"]), _LEASE_MS)


def take(client: Client, want: int) -> tuple[Claim, ...]:
    """Claim so many, at most."""
    return client.engine.run(claim(0, ask(want))).claims


def work_off(client: Client, at_once: int = BATCH) -> list[Claim]:
    """Claim and finish until nothing is left, finish and next claim in one call; in order."""
    held = take(client, at_once)
    done: list[Claim] = []
    while held:
        done += held
        outcomes = [Outcome("succeeded", one.id, one.fence, b"1") for one in held]
        held = client.engine.run(finish(0, outcomes, ask(at_once))).claimed.claims
    return done


def script_us(server: Server, work: Callable[[], object]) -> float:
    """How long scripts run for `work`, in microseconds."""
    before = server.script_us()
    work()
    return server.script_us() - before
