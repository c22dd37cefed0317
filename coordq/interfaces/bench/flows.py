"""What a flow costs beside as many plain tasks, and how soon a step follows its parent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from statistics import quantiles

from coordq import clock
from coordq.client.client import connect
from coordq.interfaces.bench.desk import BATCH, script_us, work_off
from coordq.interfaces.bench.fleet import Slots, worker
from coordq.interfaces.bench.measure import PAYLOAD, Figures, fill
from coordq.interfaces.bench.server import Server
from coordq.work.flow.build import Flow

TASKS = 10_000
STAGES = 100
JOINS = (1_000, 10_000)
STEPS = 1_000
_WARM = 50


def _args(number: int) -> dict[str, object]:
    return {"i": number, "payload": PAYLOAD}


def fan() -> Flow:
    """A hundred stages of 99 tasks, each joined by one, which the next stage comes after."""
    flow = Flow("fan")
    after: list[object] = []
    for stage in range(STAGES):
        first = stage * TASKS // STAGES
        rest = range(first, first + TASKS // STAGES - 1)
        steps = [flow.task("noop", _args(number), after=after) for number in rest]
        after = [flow.task("noop", _args(first), after=steps)]
    return flow


def chain(length: int) -> Flow:
    """One after the other."""
    flow = Flow("chain")
    after: list[object] = []
    for number in range(length):
        after = [flow.task("noop", _args(number), after=after)]
    return flow


def join(parents: int) -> Flow:
    """Many tasks, and one that comes after all of them."""
    flow = Flow("join")
    flow.task("noop", _args(0), after=[flow.task("noop", _args(n)) for n in range(parents)])
    return flow


def _plain_us(server: Server, at_once: int) -> float:
    """Scripts' time for a plain task: enqueued in bulk, claimed and finished."""
    with connect(server.url) as client:

        def work() -> None:
            fill(client, TASKS)
            assert len(work_off(client, at_once)) == TASKS

        spent = script_us(server, work) / TASKS
    server.flush()
    return spent


def _flow(
    server: Server, build: Callable[[], Flow], tasks: int, at_once: int
) -> tuple[float, float, float]:
    """Seconds to build and submit it, and scripts' time for a task: to submit, to work off."""
    with connect(server.url) as client:
        before, start = server.script_us(), clock.monotonic()
        client.flows.run(build())
        submit_s, submitted = clock.monotonic() - start, server.script_us()
        assert len(work_off(client, at_once)) == tasks, "some were lost, or wait for ever"
        worked = server.script_us()
    server.flush()
    return submit_s, (submitted - before) / tasks, (worked - submitted) / tasks


def _compare(server: Server, name: str, build: Callable[[], Flow], at_once: int) -> Figures:
    plain = _plain_us(server, at_once)
    submit_s, submit_us, work_us = _flow(server, build, TASKS, at_once)
    return {
        f"build and submit {name}, s": submit_s,
        f"{name}: scripts per task to submit, us": submit_us,
        f"{name}: scripts per task, us": submit_us + work_us,
        f"{name}: scripts per plain task, us": plain,
        f"{name}: scripts' time added : plain": (submit_us + work_us) / plain - 1,
    }


def _per_parent_us(server: Server, parents: int) -> float:
    """Scripts' time for a parent of a join, from its claim to its end."""
    _, _, work_us = _flow(server, partial(join, parents), parents + 1, BATCH)
    return work_us


def _latency_ms(server: Server) -> list[float]:
    """From the start of each step of a chain to the start of the next; a step does nothing."""
    slots = Slots(STEPS)
    try:
        with connect(server.url) as client, worker(server.url, slots):
            client.work.run("noop", {"i": 0}, wait_for=30)
            client.flows.run(chain(STEPS))
            moments = [at for at, _ in slots.wait_for(STEPS)]
    finally:
        slots.close()
    server.flush()
    return [(late - early) * 1000 for early, late in pairwise(moments)]


def flows(server: Server) -> Figures:
    """Ten thousand tasks as a fan and as a chain, joins of two sizes, and the steps of a chain."""
    figures = _compare(server, "a fan of 100 x 100", fan, BATCH)
    figures |= _compare(server, "a chain of 10,000", partial(chain, TASKS), 1)
    few, many = map(partial(_per_parent_us, server), JOINS)
    cuts = quantiles(_latency_ms(server)[_WARM:], n=100)
    return figures | {
        f"join of {JOINS[0]:,}: scripts per parent, us": few,
        f"join of {JOINS[1]:,}: scripts per parent, us": many,
        "join: per parent, 10,000 : 1,000": many / few,
        "chain, step to step p50, ms": cuts[49],
        "chain, step to step p99, ms": cuts[98],
    }
