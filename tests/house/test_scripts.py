"""The programs in scripts/ say what they measure, and run from anywhere."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import wait_until

SCRIPTS = Path(__file__).parents[2] / "scripts"
PROGRAMS = (
    *("bench", "calm", "drill", "failover", "measure", "partition", "soak", "stutter", "swarm"),
)


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


def test_a_command_is_frozen_now_and_then() -> None:
    """And runs on, ends as it does alone, and no group of processes is left.

    The command tells which group it is in, and waits for a word.
    """
    frozen = "print(open('/proc/self/cgroup').read().replace('\\n', ' '), flush=True); input()"
    often = ["--gap", "0.01", "--longest", "300"]
    with subprocess.Popen(
        [sys.executable, SCRIPTS / "stutter.py", *often, sys.executable, "-c", frozen],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as stutter:
        assert stutter.stdout
        where = stutter.stdout.readline()
        if where.startswith("usage"):
            pytest.skip(stutter.stdout.read())
        mounts = Path("/proc/self/mounts").read_text()
        (mount,) = re.findall(r"^\S+ (\S+) cgroup2 ", mounts, re.MULTILINE)
        (name,) = re.findall(r"0::(\S*/stutter-\d+)", where)
        group = Path(mount) / name.lstrip("/")
        wait_until(lambda: "frozen 1" in (group / "cgroup.events").read_text(), what="a stop")
        wait_until(lambda: "frozen 0" in (group / "cgroup.events").read_text(), what="its end")
        stutter.send_signal(signal.SIGTERM)

        assert stutter.wait(60) == 128 + signal.SIGTERM
    assert not group.exists()
