"""The programs in scripts/ say what they measure, and run from anywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
PROGRAMS = ("bench", "calm", "drill", "failover", "measure", "partition", "soak", "swarm")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_explains_itself(name: str, tmp_path: Path) -> None:
    """--help is all that somebody has who finds it."""
    said = subprocess.run(
        [sys.executable, SCRIPTS / f"{name}.py", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout.lower().startswith("usage:")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_on_the_list(name: str) -> None:
    """Of CONTRIBUTING.md, where people look for it."""
    listed = (SCRIPTS.parent / "CONTRIBUTING.md").read_text()

    assert f"`scripts/{name}.py`" in listed


def test_no_program_is_left_out() -> None:
    """What was added later is tested here as well."""
    programs = {path.stem for path in SCRIPTS.glob("*.py")} - {"bench_adapter"}  # no program

    assert programs == set(PROGRAMS)
