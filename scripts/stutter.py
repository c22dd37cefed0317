#!/usr/bin/env python3
"""Run a command, such as ./scripts/test, on a machine that stands still now and then.

About every --gap seconds all processes of the command, or one of them, are frozen for at most
--longest milliseconds, as on a virtual machine whose host is busy. A test that fails only here
counts on being quick. No signal is sent: who stops processes himself is not disturbed. Needs Linux,
cgroup v2, and root. The exit code is that of the command.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path

SHORTER = 4
"""A stop is so much shorter than the longest, on average."""
ITSELF = "0"
"""To a group: the process that writes it."""


@dataclass(frozen=True)
class Pace:
    """How often it stops, and for how long."""

    chance: random.Random
    gap: float
    longest: float

    def gap_s(self) -> float:
        """Until the next stop, in seconds."""
        return self.chance.expovariate(1 / self.gap)

    def stop_s(self) -> float:
        """How long it lasts, in seconds."""
        return min(self.longest, self.chance.expovariate(SHORTER / self.longest))


class Group:
    """A control group: the processes in it, and all that these start, freeze together."""

    def __init__(self, path: Path) -> None:
        path.mkdir()
        self.path = path

    def pids(self) -> list[str]:
        """Those in it now."""
        return (self.path / "cgroup.procs").read_text().split()

    def take(self, pid: str) -> None:
        """Have a process in here, and no longer where it was; one that has ended is let be."""
        _move(pid, self.path)

    def freeze(self, seconds: float) -> None:
        """Nobody in it runs for so long."""
        switch = self.path / "cgroup.freeze"
        switch.write_text("1")
        try:
            time.sleep(seconds)
        finally:
            switch.write_text("0")

    def close(self) -> None:
        """Let go of who is still there."""
        for pid in self.pids():
            _move(pid, self.path.parent)
        self.path.rmdir()


def _move(pid: str, group: Path) -> None:
    with suppress(ProcessLookupError):
        (group / "cgroup.procs").write_text(pid)


def own_group() -> Path:
    """The group of this process. Raises OSError where there is no cgroup v2."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    roots = [Path(mount[1]) for mount in mounts if mount[2] == "cgroup2"]
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    paths = [line[3:] for line in lines if line.startswith("0::")]
    if not (roots and paths):
        raise OSError("cgroup v2 is not mounted here")
    return roots[0] / paths[0].lstrip("/")


def start(words: list[str], group: Group, home: Path) -> subprocess.Popen[bytes]:
    """Start a command in a group, which is that of who starts it. Raises OSError."""
    group.take(ITSELF)
    try:
        return subprocess.Popen(words)
    finally:
        _move(ITSELF, home)


def stutter(process: subprocess.Popen[bytes], everybody: Group, one: Group, pace: Pace) -> None:
    """Freeze all, or one of them, again and again until the command has ended."""
    while process.poll() is None:
        time.sleep(pace.gap_s())
        pids = everybody.pids()
        if not pids or pace.chance.random() < 0.5:
            everybody.freeze(pace.stop_s())
            continue
        one.take(pace.chance.choice(pids))
        one.freeze(pace.stop_s())
        for pid in one.pids():
            everybody.take(pid)


def main() -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gap", type=float, default=1.0, help="seconds between stops, on average")
    parser.add_argument("--longest", type=float, default=400, help="milliseconds")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("command", nargs=argparse.REMAINDER)
    chosen = parser.parse_args()
    words = chosen.command[chosen.command[:1] == ["--"] :]
    if not words:
        parser.error("say which command to run")
    if min(chosen.gap, chosen.longest) <= 0:
        parser.error("--gap and --longest are more than 0")
    pace = Pace(random.Random(chosen.seed), chosen.gap, chosen.longest / 1000)
    with ExitStack() as stack:
        try:
            home = own_group()
            everybody = stack.enter_context(closing(Group(home / f"stutter-{os.getpid()}")))
            one = stack.enter_context(closing(Group(everybody.path / "one")))
        except OSError as error:
            parser.error(f"no control group could be made, which takes cgroup v2 and root: {error}")
        try:
            process = start(words, everybody, home)
        except OSError as error:
            parser.error(f"the command could not be started: {error}")
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command has it as well, and decides
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        stutter(process, everybody, one, pace)
    code = process.returncode
    return code if code >= 0 else 128 - code  # of a signal, as shells say it


if __name__ == "__main__":
    sys.exit(main())
