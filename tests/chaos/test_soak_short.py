"""The short soak: a fleet that does its work while everything around it breaks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from coordq.interfaces.chaos.history import read_history
from coordq.interfaces.chaos.listeners import (
    CHORUS,
    LEDGER,
    MAILBOXES,
    MIRROR,
    OWN_BOX,
    PORTER,
)
from coordq.interfaces.chaos.run import run_chaos
from coordq.interfaces.chaos.settings import ChaosSettings

TASKS, FAULTS, KINDS = 5_000, 33, 10


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_nothing_is_lost_while_everything_breaks(tmp_path: Path) -> None:
    """Kills, pauses, cut links, lost replies, a Redis that dies: every promise holds.

    Those about flows, limits and messages too: some of the tasks are in flows, some have to wait
    for a slot, and agents talk to each other meanwhile, in every way there is.
    """
    chosen = ChaosSettings(
        tasks=TASKS, faults=FAULTS, seed=20, duration_s=36, folder=tmp_path / "run"
    )

    report = run_chaos(chosen, say=print)

    told = "\n".join(report.lines())
    sys.stdout.write(told)
    assert report.violations == (), told
    figures = report.figures
    assert figures["tasks acknowledged"] - figures["of them in flows"] >= TASKS
    assert figures["flows ended"] > 0
    assert figures["held up by limits"] > 0
    assert figures["messages acknowledged"] > 0
    assert figures["turns acknowledged"] > 0
    assert figures["of them found no room at first"] > 0
    groups = {run.group.partition(":")[0] for run in read_history(tmp_path / "run").bus.heard}
    boxes = {f"{OWN_BOX}{number}" for number in range(chosen.producers)}
    assert groups == {LEDGER, MIRROR, CHORUS, PORTER, *MAILBOXES, *boxes}
    assert sum(report.faults.values()) >= FAULTS
    assert len(report.faults) >= KINDS
