"""The checker finds planted bugs on a live fleet, under the same seed that passes without them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from coordq.interfaces.chaos.plant import BUGS, plant
from coordq.interfaces.chaos.run import run_chaos
from coordq.interfaces.chaos.settings import ChaosSettings

HARD = ("stop-worker", "late-leader")
"""The faults that these bugs need to show themselves."""
SHORT = ChaosSettings(
    tasks=1000,
    faults=9,
    seed=7,
    workers=2,
    children=1,
    supervisors=1,
    producers=1,
    duration_s=6.5,
    lease_s=1.0,
    only=HARD,
)


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str, tmp_path: Path) -> None:
    """And called by its name: a checker that only says "something is wrong" helps nobody."""
    report = run_chaos(replace(SHORT, bug=bug, folder=tmp_path / "run"))

    found = {violation.rule for violation in report.violations}
    assert found & BUGS[bug].rules, "\n".join(report.lines())
    assert report.violations[0].subject in report.tales


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.chaos
def test_the_same_run_without_a_bug_is_clean(tmp_path: Path) -> None:
    """What is found above is the bug, not the weather."""
    report = run_chaos(replace(SHORT, folder=tmp_path / "run"))

    assert report.violations == (), "\n".join(report.lines())
    assert report.figures["stale finishes refused"] > 0
    assert "refused" in (tmp_path / "run" / "ghost.log").read_text()


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_changes_one_file(bug: str, tmp_path: Path) -> None:
    """All else is the product as it is."""
    root = Path(__file__).parents[2] / "lua"

    copy = plant(bug, tmp_path)

    files = [path.relative_to(root) for path in root.rglob("*.lua")]
    changed = [str(one) for one in files if (copy / one).read_text() != (root / one).read_text()]
    assert changed == [BUGS[bug].file]
