"""The checker finds planted bugs on a live fleet, under the same seed that passes without them."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from coordq.interfaces.chaos.plant import BUGS, plant
from tests.waiting import wait_until

HARD = ("stop-worker", "late-leader")
"""The faults that these bugs need to show themselves."""
SHORT: dict[str, Any] = {
    "tasks": 1000,
    "faults": 9,
    "seed": 7,
    "workers": 2,
    "children": 1,
    "supervisors": 1,
    "producers": 1,
    "duration_s": 6.5,
    "lease_s": 1.0,
    "messages": 0.5,
    "only": HARD,
}
LONGER: dict[str, dict[str, Any]] = {"hasty-sweep": {"duration_s": 30}}
"""What a bug needs besides: the leader sweeps every ten seconds."""
STALL_S = 15
"""When nothing has ended for so long in a run with a bug, the rest never will."""
LAST_LONG = ("hasty-sweep", "twice-said", "lost-receipt")
"""These are begun first, so that nothing waits for them in the end."""
_RUN = """
import json, sys
from pathlib import Path
from coordq.interfaces.chaos.run import run_chaos
from coordq.interfaces.chaos.settings import ChaosSettings

run_chaos(ChaosSettings(folder=Path(sys.argv[1]), **json.loads(sys.argv[2])))
"""
CLEAN = "none"
TOGETHER = 6
"""Runs at a time: a stage mostly waits, but not with a dozen of them on two cores."""
AGAIN = 3
"""How often what was not found is run once more."""
PATIENCE_S = 150
"""Half a minute each would do, if they had the machine for themselves. A bug may also have a script
never end, and Redis with it: such a run is ended, and found nothing."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same run with each bug and without any, some at a time.

    A bug needs its moment, such as a worker that is stopped with a message, and a machine that is
    busy with other runs may not grant it: what was not found is run again, nearly alone.
    """
    first = dict.fromkeys((*LAST_LONG, CLEAN, *BUGS))
    where = {bug: tmp_path_factory.mktemp("chaos") / bug for bug in first}
    _run_all(list(where.items()), together=TOGETHER)
    for again in range(AGAIN):
        missed = [bug for bug in BUGS if not found_in(where[bug], bug)]
        where |= {bug: where[bug].with_name(f"again-{again}") for bug in missed}
        _run_all([(bug, where[bug]) for bug in missed], together=2)
    return where


def found_in(folder: Path, bug: str) -> frozenset[str]:
    """Those of the bug's rules that a run saw broken; none if it had to be ended."""
    if not (folder / "report.json").exists():
        return frozenset()
    broken = {violation["rule"] for violation in report_in(folder)["violations"]}
    return BUGS[bug].rules & broken


def _run_all(wanted: list[tuple[str, Path]], *, together: int) -> None:
    """All of them, in order; when one has ended the next begins."""
    ahead, going_on = iter(wanted), list[_Run]()
    try:
        for bug, folder in islice(ahead, together):
            going_on.append(_Run(bug, folder))
        while going_on:
            for one in wait_until(partial(_over, going_on), within=300, what="a run's end"):
                one.end()
                going_on.remove(one)
                going_on.extend(_Run(*each) for each in islice(ahead, 1))
    finally:
        for one in going_on:
            one.process.terminate()
            one.process.wait(60)


class _Run:
    """A run in a process of its own."""

    def __init__(self, bug: str, folder: Path) -> None:
        words = [sys.executable, "-c", _RUN, str(folder), json.dumps(SHORT | _named(bug))]
        self.bug, self.process = bug, subprocess.Popen(words)
        self.until = monotonic() + PATIENCE_S

    def over(self) -> bool:
        """Whether it has ended, or should have."""
        return self.process.poll() is not None or monotonic() > self.until

    def end(self) -> None:
        """See that it has ended well; with a bug it may have to be ended."""
        if self.process.poll() is None and self.bug != CLEAN:
            self.process.terminate()
            self.process.wait(60)
            return
        assert self.process.wait(0) == 0, self.bug


def _over(runs: list[_Run]) -> list[_Run]:
    return [one for one in runs if one.over()]


def _named(bug: str) -> dict[str, Any]:
    return {} if bug == CLEAN else {"bug": bug, "stall_s": STALL_S, **LONGER.get(bug, {})}


def report_in(folder: Path) -> dict[str, Any]:
    """What a run found."""
    told: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return told


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str, folders: dict[str, Path]) -> None:
    """And called by its name: a checker that only says "something is wrong" helps nobody."""
    report = report_in(folders[bug])

    assert found_in(folders[bug], bug), report["figures"]
    assert report["violations"][0]["subject"] in report["tales"]


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.timeout(1200)
def test_the_same_run_without_a_bug_is_clean(folders: dict[str, Path]) -> None:
    """What is found above is the bug, not the weather.

    And the weather was bad enough: workers that were stopped past their leases came back with
    finishes, of which there are dozens, and a former leader wrote.
    """
    report = report_in(folders[CLEAN])

    assert report["violations"] == []
    assert report["figures"]["stale finishes refused"] > 0
    assert "refused" in (folders[CLEAN] / "ghost.log").read_text()


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_changes_one_file(bug: str, tmp_path: Path) -> None:
    """All else is the product as it is."""
    root = Path(__file__).parents[2] / "lua"

    copy = plant(bug, tmp_path)

    files = [path.relative_to(root) for path in root.rglob("*.lua")]
    changed = [str(one) for one in files if (copy / one).read_text() != (root / one).read_text()]
    assert changed == [BUGS[bug].file]
