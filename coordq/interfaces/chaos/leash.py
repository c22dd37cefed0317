"""Processes that cannot outlive the run, and the trees below them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

# Asks the kernel for SIGKILL at our death (PR_SET_PDEATHSIG), then becomes the program.
_LEASH: Final = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the run is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


def spawn(
    words: Sequence[str], *, output: Path, env: dict[str, str] | None = None, talks: bool = False
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own; what it says goes to the end of `output`.

    talks: its stdin and stdout are pipes of ours. From the main thread only: the kernel watches the
    thread that started it.
    """
    leash = [sys.executable, "-I", "-S", "-c", _LEASH, str(os.getpid())]
    with output.open("ab") as said:
        return subprocess.Popen(
            [*leash, *words],
            stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
            stdout=subprocess.PIPE if talks else said,
            stderr=said,
            env=env,
            start_new_session=True,  # Ctrl-C is for the run, which then ends its processes
        )


def tree(pid: int) -> list[int]:
    """A process and all below it, parents first."""
    below: dict[int, list[int]] = {}
    for child, parent in _parents():
        below.setdefault(parent, []).append(child)
    found = [pid]
    for one in found:
        found += below.get(one, [])
    return found


def _parents() -> list[tuple[int, int]]:
    """(process, its parent) of everything that runs."""
    if not Path("/proc/self/stat").exists():
        said = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, check=True)  # noqa: S607 - where there is no /proc
        rows = [line.split() for line in said.stdout.decode().splitlines()]
        return [(int(pid), int(parent)) for pid, parent in rows]
    pairs = []
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names are all that is needed
        if entry.isdigit():
            with suppress(OSError):
                text = Path(f"/proc/{entry}/stat").read_text()
                pairs.append((int(entry), int(text.rpartition(")")[2].split()[1])))
    return pairs


def signal_all(pids: Sequence[int], number: signal.Signals) -> None:
    """Send a signal to those of them that are there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def end(process: subprocess.Popen[bytes], *, patience_s: float = 0.0) -> None:
    """End a program and all below it: TERM first when there is patience, then SIGKILL."""
    pids = tree(process.pid) if process.poll() is None else []
    signal_all(pids, signal.SIGCONT)
    if patience_s and pids:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
    signal_all([pid for pid in pids if pid != process.pid], signal.SIGKILL)
    if process.poll() is None:
        process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
