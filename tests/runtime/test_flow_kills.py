"""A flow outlives whoever works on it: every worker and the supervisor are killed on the way."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from coordq import Flow
from coordq.client.client import Client
from tests.runtime.conftest import NewFleet, NewWatchman
from tests.runtime.fleet import Fleet, started
from tests.waiting import wait_until

pytestmark = [pytest.mark.live, pytest.mark.chaos]

SHORT = {"beat_s": 0.3, "lease_s": 5.0}


def relay(folder: Path, stages: int, width: int) -> tuple[Flow, list[Path]]:
    """Stages one after the other, each of several tasks that wait for the stage's gate."""
    flow, gates = Flow("relay"), []
    before: list[Any] = []
    for stage in range(stages):
        gate = folder / f"gate-{stage}"
        gates.append(gate)
        before = [
            flow.task("gated", {"path": str(gate)}, key=f"s{stage}.{n}", after=before)
            for n in range(width)
        ]
    flow.task("echo", {"text": "home"}, key="home", after=before)
    return flow, gates


def kill(tree: Any) -> None:
    """Parent and children at once, as when a machine is lost."""
    tree.signal_all(signal.SIGKILL)
    tree.wait()


def test_a_flow_survives_the_death_of_every_worker_and_of_the_supervisor(
    new_fleet: NewFleet, new_watchman: NewWatchman, client: Client, tmp_path: Path
) -> None:
    """Each is killed while a stage runs; every task runs to one end, in order, and none twice."""
    width = 4
    flow, gates = relay(tmp_path, stages=4, width=width)
    workers: list[Fleet] = [new_fleet(concurrency=2, **SHORT) for _ in range(2)]
    watchman = new_watchman(lease_s=1)
    handle = client.flows.run(flow)

    for stage, gate in enumerate(gates):
        wait_until(lambda gate=gate: len(started(gate)) >= width, what=f"stage {stage}")  # type: ignore[misc]
        if stage < len(workers):
            kill(workers[stage])
            workers[stage] = new_fleet(concurrency=2, **SHORT)
        elif stage == len(workers):
            kill(watchman)
            watchman = new_watchman(lease_s=1)
        gate.touch()

    assert handle.result(timeout=60) == {"home": "home"}
    seen = handle.get()
    assert (seen.state, seen.succeeded, seen.failed, seen.cancelled) == ("succeeded", 17, 0, 0)
    ended = [event.subject for event in client.work.events() if event.kind == "succeeded"]
    assert sorted(ended) == sorted(node.id for node in seen.nodes), "each was committed once"
    for first, second in zip(range(3), range(1, 4), strict=True):
        last = max(ended.index(seen.node(f"s{first}.{n}").id) for n in range(width))
        assert last < min(ended.index(seen.node(f"s{second}.{n}").id) for n in range(width))
