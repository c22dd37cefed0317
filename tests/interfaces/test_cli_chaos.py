"""`coordq chaos`: what it prints, what it refuses, and that nothing of it is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interfaces.conftest import Shell
from tests.waiting import wait_until

SMALL = ["--tasks", "60", "--faults", "2", "--duration", "2s", "--workers", "1"]
SMALL += ["--supervisors", "0", "--only", "lost-reply,reset"]


def processes_of(folder: Path) -> list[int]:
    """Whoever was started with a path below `folder`, or works in it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in words and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


@pytest.mark.live
@pytest.mark.chaos
def test_a_run_is_one_document_for_programs(tmp_path: Path) -> None:
    """With everything in it that a person would ask for."""
    command = [sys.executable, "-m", "coordq", "chaos", *SMALL, "--seed", "4", "--json"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}

    done = subprocess.run(command, env=environment, capture_output=True, check=False)

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["ok"], told["seed"], told["violations"]) == (True, 4, [])
    assert told["faults"] == {"lost-reply": 1, "reset": 1}
    figures = told["figures"]
    assert figures["tasks acknowledged"] - figures["of them in flows"] == 60
    assert figures["flows ended"] > 0
    assert figures["messages acknowledged"] + figures["turns acknowledged"] == 12
    assert list(tmp_path.iterdir()) == []  # no journals where there is nothing to prove


@pytest.mark.live
@pytest.mark.chaos
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc to look for processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    """Neither a server nor a worker, whenever it is interrupted."""
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "coordq", "chaos", "--tasks", "100000", "--duration", "10m"]
    run = subprocess.Popen([*command, "--folder", str(folder)], stderr=subprocess.DEVNULL)
    try:
        journals = "producer-*.journal"
        wait_until(lambda: any(folder.glob(journals)), within=180, what="tasks to come")
        assert processes_of(folder)

        run.send_signal(number)

        assert run.wait(120) != 0
    finally:
        run.kill()
    wait_until(lambda: not processes_of(folder), what="all to be gone")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--only", "kill-everything"], "kill-child"),
        (["--tasks", "0"], "tasks"),
        (["--messages", "11"], "messages"),
        (["--engine", "cluster"], "sentinel"),
        (["--only", "redis-failover"], "faults"),
        (["--durability", "replica"], "replica"),
        (["--plant", "no-such"], "no-fence"),
        (["--lease", "soon"], "length of time"),
    ],
)
def test_a_run_that_cannot_be_is_refused(shell: Shell, words: list[str], named: str) -> None:
    """In a sentence that names what could be, before anything is started."""
    result = shell("chaos", *words)

    assert result.exit_code == 2
    assert named in result.stderr


def test_a_folder_that_is_in_use_is_refused(shell: Shell, tmp_path: Path) -> None:
    """Journals of two runs, mixed, would prove anything."""
    (tmp_path / "old.journal").write_text("")

    result = shell("chaos", "--folder", str(tmp_path))

    assert result.exit_code == 2
    assert "empty" in result.stderr
