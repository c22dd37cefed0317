#!/usr/bin/env python3
"""Kill workers at work and print what it cost: how soon their tasks were back, what was lost.

Three drills on a private Redis, with the defaults of a worker unless --lease says otherwise:
a child killed under load, a whole worker killed, and one stopped for two leases and then continued.
Exit code 0 only if nothing was lost, nothing was committed twice, and the late finish was refused.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import coordq
from coordq import settings
from coordq.work.events import Event

TASKS = 5_000
AGENT = """
import asyncio
from coordq import Agent

agent = Agent("drill")

@agent.task(max_attempts=5)
async def short() -> None:
    await asyncio.sleep(0.01)

@agent.task(max_attempts=5)
async def long(seconds: float) -> None:
    await asyncio.sleep(seconds)
"""


def wait_until(condition: Callable[[], bool], what: str, within_s: float = 120.0) -> None:
    """Poll until it is so. Raises TimeoutError."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {within_s:g} s in vain: {what}")
        time.sleep(0.02)


@contextmanager
def worker(
    client: coordq.Client, folder: Path, name: str, *, lease_s: float, children: int = 1
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker in a process group of its own, serving before the block begins."""
    words = ["worker", str(folder / "agent.py"), "--name", name, "--processes", str(children)]
    words += ["--lease", f"{lease_s}s", "--beat", f"{lease_s / 5}s", "--log-level", "error"]
    process = subprocess.Popen(
        [sys.executable, "-m", "coordq", *words, "--url", f"embedded://{folder / 'redis'}"],
        env=settings.environment(),
        start_new_session=True,
    )
    wait_until(lambda: any(children_of(client, name)), f"{name} serves")
    try:
        yield process
    finally:
        for number in (signal.SIGCONT, signal.SIGTERM):
            process.send_signal(number)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def children_of(client: coordq.Client, name: str) -> list[int]:
    """The pids of a worker's children that serve."""
    return [
        int(child["pid"])
        for view in client.work.workers()
        if view.name.startswith(f"{name}.") and view.info["agents"]
        for child in view.info["children"]
    ]


def events_since(client: coordq.Client, position: str, *kinds: str) -> list[Event]:
    """What happened of these kinds."""
    return [event for event in client.work.events(after=position) if event.kind in kinds]


def now_ms() -> int:
    """Milliseconds since 1970, by the clock that the private Redis reads too."""
    return time.time_ns() // 1_000_000


def kill_child(client: coordq.Client, folder: Path, lease_s: float) -> tuple[str, bool]:
    """SIGKILL one of two children in the middle of 5,000 tasks."""
    with worker(client, folder, "drill-child", lease_s=lease_s, children=2):
        client.work.enqueue_many([("short", {})] * TASKS)
        wait_until(lambda: client.work.queue("default").succeeded > TASKS // 3, "a third is done")
        killed_ms = now_ms()
        os.kill(children_of(client, "drill-child")[0], signal.SIGKILL)
        wait_until(lambda: client.work.queue("default").succeeded >= TASKS, "all are done")
        back = events_since(client, str(killed_ms), "crashed", "released", "lapsed")
    commits = Counter(event.subject for event in events_since(client, "0", "succeeded"))
    soon_s = (max((event.ms for event in back), default=killed_ms) - killed_ms) / 1000
    lost, twice = TASKS - len(commits), sum(count > 1 for count in commits.values())
    good = lost == 0 and twice == 0 and soon_s < 1
    return f"{len(back)} tasks back in {soon_s:.3f} s; lost {lost}, committed twice {twice}", good


def kill_worker(client: coordq.Client, folder: Path, lease_s: float) -> tuple[str, bool]:
    """SIGKILL a parent with its child, while another worker lives."""
    with worker(client, folder, "drill-dies", lease_s=lease_s) as doomed:
        handles = [client.work.enqueue("long", {"seconds": 0.5}) for _ in range(10)]
        wait_until(lambda: client.work.queue("default").running == len(handles), "all run")
        with worker(client, folder, "drill-lives", lease_s=lease_s):
            slow = [client.work.enqueue("long", {"seconds": lease_s}) for _ in range(16)]
            wait_until(lambda: client.work.queue("default").running >= len(slow), "both are busy")
            killed_ms = now_ms()
            os.killpg(doomed.pid, signal.SIGKILL)
            for pid in children_of(client, "drill-dies"):
                os.kill(pid, signal.SIGKILL)
            for handle in [*handles, *slow]:
                handle.result(timeout=lease_s * 6)
            back = events_since(client, str(killed_ms), "lapsed")
    soon_s = (max(event.ms for event in back) - killed_ms) / 1000
    return f"{len(back)} tasks back in {soon_s:.1f} s", soon_s <= lease_s + 2


def stop_worker(client: coordq.Client, folder: Path, lease_s: float) -> tuple[str, bool]:
    """SIGSTOP a whole worker for two leases, then SIGCONT."""
    with worker(client, folder, "drill-sleeps", lease_s=lease_s) as sleeper:
        handle = client.work.enqueue("long", {"seconds": lease_s / 4})
        wait_until(lambda: handle.get().state == "running", "it runs")
        began = str(now_ms())
        tree = [sleeper.pid, *children_of(client, "drill-sleeps")]
        for pid in tree:
            os.kill(pid, signal.SIGSTOP)
        with worker(client, folder, "drill-awake", lease_s=lease_s):
            time.sleep(lease_s * 2)
            handle.result(timeout=lease_s * 4)
            for pid in tree:
                os.kill(pid, signal.SIGCONT)
            wait_until(lambda: bool(events_since(client, began, "refused")), "a refusal")
    refused = events_since(client, began, "refused")
    commits = [one for one in events_since(client, began, "succeeded") if one.subject == handle.id]
    good = len(commits) == 1
    return f"late finish refused ({len(refused)} event), commits {len(commits)}", good


def main() -> int:
    """Run the drills; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lease", type=float, default=10.0, help="seconds; beats are a fifth")
    lease_s = parser.parse_args().lease
    failed = 0
    for number, drill in enumerate((kill_child, kill_worker, stop_worker)):
        with tempfile.TemporaryDirectory(prefix="coordq-drill-") as name:
            folder = Path(name)
            (folder / "agent.py").write_text(AGENT)
            with coordq.connect(f"embedded://{folder / 'redis'}") as client:
                told, good = drill(client, folder, lease_s)
        failed += not good
        print(
            f"{number + 1}. {drill.__doc__} lease {lease_s:g} s: {told}: {'ok' if good else 'NO'}"
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
