"""How soon one of 1,000 agents is found or recommended, and what balancers do to slow answers."""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Callable
from statistics import median, quantiles
from time import thread_time
from typing import Any, Final

from coordq import clock
from coordq.client.client import Client, connect
from coordq.fleet import registry
from coordq.fleet.balance.balancer import Candidate
from coordq.fleet.balance.kinds import KINDS, make_balancer
from coordq.fleet.profile import make_profile
from coordq.interfaces.bench.measure import Figures
from coordq.interfaces.bench.server import Server
from coordq.work.beat import Pulse, beat

AGENTS: Final = 1_000
WORKERS: Final = 50
ROLES, CAPABILITIES = 10, 7
CALLS: Final = 2_000
ARRIVALS: Final = 30_000
FAST_MS, SLOW_MS = 10.0, 50.0
FAST, SLOW = 8, 2
USE: Final = 0.6
"""How much of what all of them could do is asked for."""


def agents(server: Server) -> Figures:
    """A full registry, and 30,000 pieces of work for ten agents of which two are slow."""
    with connect(server.url) as client:
        figures = _registered(client) | _looks(client)
    server.flush()
    return figures | _tails()


def _hosted(worker: int) -> list[int]:
    return list(range(worker, AGENTS, WORKERS))


def _registered(client: Client) -> Figures:
    """50 workers beat and register 20 agents each."""
    took_s = 0.0
    for worker in range(WORKERS):
        numbers, name = _hosted(worker), f"worker-{worker}"
        info: dict[str, Any] = {
            "worker": name,
            "zone": f"zone-{worker % 5}",
            "slots": 64,
            "running": worker,
            "agents": [{"name": _name(number), "role": "", "tasks": ["job"]} for number in numbers],
            "by_agent": {_name(number): _done(number) for number in numbers},
        }
        pulse = Pulse(name, (), json.dumps(info).encode(), lease_ms=600_000)
        client.engine.run(beat(0, pulse))
        profiles = {
            _name(number): make_profile(
                _name(number),
                role=f"role-{number % ROLES}",
                capabilities=["http", f"skill-{number % CAPABILITIES}"],
                tasks=["job"],
                interests=f"orders of district {number}",
            )
            for number in numbers
        }
        began = clock.monotonic()
        client.engine.run(registry.host(name, profiles))
        took_s += clock.monotonic() - began
    return {"agents: register 1,000 on 50 workers, ms": took_s * 1000}


def _name(number: int) -> str:
    return f"agent-{number}"


def _done(number: int) -> dict[str, int]:
    return {
        "running": number % 3,
        "succeeded": 10 * (number % 13),
        "failed": number % 4,
        "worked_ms": 1000 * (1 + number % 17),
    }


def _looks(client: Client) -> Figures:
    routing = client.routing
    looks: dict[str, Callable[[], object]] = {
        "find by role": lambda: client.agents.find(role="role-3"),
        "find by words": lambda: client.agents.find(text="orders district 77", limit=10),
        "find among all": lambda: client.agents.find(task="job", limit=10),
        "recommend by skill": lambda: routing.recommend(capabilities=["skill-3"], n=5),
        "recommend among all": lambda: routing.recommend("job", n=5),
    }
    figures: Figures = {}
    for name, call in looks.items():
        call()
        cpu_s, times = thread_time(), [_ms(call) for _ in range(CALLS)]
        figures[f"agents, 1,000: {name}, p50, ms"] = median(times)
        figures[f"agents, 1,000: {name}, p99, ms"] = quantiles(times, n=100)[-1]
        figures[f"agents, 1,000: {name}, CPU, ms"] = (thread_time() - cpu_s) / CALLS * 1000
    return figures


def _ms(call: Callable[[], object]) -> float:
    began = clock.monotonic()
    call()
    return (clock.monotonic() - began) * 1000


def _tails() -> Figures:
    """Time in the line included; by a clock that is only reckoned, whatever the machine does."""
    figures: Figures = {}
    for kind in KINDS:
        times = waits(kind)
        cut = quantiles(times, n=100)
        figures[f"balance, 2 of 10 slow: {kind}, p50, ms"] = median(times)
        figures[f"balance, 2 of 10 slow: {kind}, p99, ms"] = cut[-1]
    return figures


class _Time:
    """Goes on when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def waits(kind: str, *, arrivals: int = ARRIVALS, seed: int = 1) -> list[float]:
    """How long each piece took under a balancer, ms: arrivals by chance, times by chance."""
    chance, moment = random.Random(seed), _Time()
    balancer = make_balancer(kind, clock=moment, warm_up_s=0, chance=random.Random(seed))
    means = {f"fast-{n}": FAST_MS for n in range(FAST)} | {
        f"slow-{n}": SLOW_MS for n in range(SLOW)
    }
    candidates = [Candidate(name) for name in means]
    rate = USE * sum(1000 / ms for ms in means.values())
    free_s, ends, times = dict.fromkeys(means, 0.0), list[tuple[float, str, float]](), []
    at = 0.0
    for _ in range(arrivals):
        at += chance.expovariate(rate)
        while ends and ends[0][0] <= at:
            moment.now, name, took_ms = heapq.heappop(ends)
            balancer.done(name, ms=took_ms)
        moment.now = at
        chosen = balancer.pick(candidates)
        assert chosen is not None
        end = max(at, free_s[chosen]) + chance.expovariate(1000 / means[chosen])
        free_s[chosen] = end
        times.append((end - at) * 1000)
        heapq.heappush(ends, (end, chosen, times[-1]))
    return times
