"""A task in a process of its own: it may do what it likes, and can be stopped at any moment."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from coordq.client.client import connect
from coordq.runtime.executor import Executor
from coordq.runtime.isolate import Isolation
from coordq.runtime.loader import load
from coordq.work.agent import Agent
from coordq.work.finish import Outcome
from coordq.work.progress import Progress
from tests.claims import Heard, claim_of, error_of, executed, outcome_of
from tests.waiting import wait_until

CODE = """
import asyncio, os, signal, subprocess, sys, threading, time
from coordq.work.agent import Agent
from coordq.work.context import Context
from coordq.work.depends import Depends
from coordq.work.middleware import Middleware
from coordq.work.signals import Reject, Retry, Snooze


class Loud(Middleware):
    def before_run(self, ctx, args):
        ctx.log("middleware in " + ("the worker" if os.getenv("IS_WORKER") else "a process"))


def connection():
    yield "connection"


agent = Agent("apart")
loud = Agent("loud", middleware=[Loud()])


@agent.task(isolation="process")
def where(ctx: Context, n: int) -> dict:
    ctx.progress(1, 2, "half", unit="parts")
    ctx.log("hello")
    return {"pid": os.getpid(), "n": n, "fence": ctx.fence, "attempt": ctx.attempt,
            "left": ctx.remaining(), "main": __name__ == "__main__", "headers": dict(ctx.headers)}


@agent.task(isolation="process")
async def quick(it: str = Depends(connection)) -> str:
    await asyncio.sleep(0)
    return it


@agent.task(isolation="process")
def fails() -> None:
    raise ValueError("inside")


@agent.task(isolation="process")
def signals(kind: str) -> None:
    raise {"retry": Retry(3), "snooze": Snooze(4), "failed": Reject("no")}[kind]


@agent.task(isolation="process")
def dies(how: str) -> None:
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "exit":
        os._exit(3)
    if how == "abort":
        os.abort()
    sys.exit("just an exception")


@agent.task(isolation="process")
def hangs(path: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open(path + ".new", "w") as file:
        file.write(f"{os.getpid()} {child.pid}")
    os.rename(path + ".new", path)
    while True:
        pass


@agent.task(isolation="process")
def big() -> str:
    return "ü" * 400_000


@agent.task(isolation="process")
def leaves_threads() -> int:
    threading.Thread(target=time.sleep, args=(600,), daemon=False).start()
    return 1


@agent.task(isolation="process")
def enqueues(ctx: Context) -> str:
    return ctx.client.work.enqueue("echo").id


@agent.task(isolation="process")
async def enqueues_async(ctx: Context) -> str:
    return (await ctx.client.work.enqueue("echo")).id


@loud.task(isolation="process")
def wrapped() -> None: ...
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's file."""
    file = tmp_path_factory.mktemp("app") / "apart.py"
    file.write_text(textwrap.dedent(CODE))
    return file


@pytest.fixture
def agent(target: Path) -> Agent:
    """Its first agent."""
    return load([str(target)]).agents[0]


def alive(pid: int) -> bool:
    """Whether a process runs: not gone, and not a zombie either."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def pids_in(file: Path) -> list[int]:
    wait_until(file.exists, what="the handler to start")
    return [int(word) for word in file.read_text().split()]


def test_it_runs_elsewhere_and_reports_here(agent: Agent) -> None:
    """Arguments, context, progress and log lines cross over; memory does not."""
    heard = Heard()
    claim = claim_of("where", n=3, attempt=2, timeout_ms=30_000, headers={"trace": "ü"})
    done = outcome_of(agent, claim, reporter=heard)
    result = json.loads(done.body)

    assert done.kind == "succeeded"
    assert result.pop("pid") != os.getpid()
    assert 0 < result.pop("left") <= 30
    assert result == {"n": 3, "fence": 7, "attempt": 2, "main": False, "headers": {"trace": "ü"}}
    assert heard.said == [(claim.id, Progress(1, 2, "half", "parts")), (claim.id, "hello")]


def test_dependencies_and_middleware_are_applied_there(target: Path) -> None:
    """Around the handler, so in its process."""
    apart, loud = load([str(target)]).agents
    heard = Heard()

    assert outcome_of(apart, claim_of("quick")).body == b'"connection"'
    os.environ["IS_WORKER"] = "yes"
    try:
        outcome_of(loud, claim_of("wrapped"), reporter=heard)
    finally:
        del os.environ["IS_WORKER"]
    assert [line for _, line in heard.said] == ["middleware in the worker"]


def test_a_failure_looks_as_it_does_at_home(agent: Agent) -> None:
    """Type, message and the user's own lines."""
    error = error_of(outcome_of(agent, claim_of("fails")))

    assert (error["type"], error["message"], error["reason"]) == (
        "ValueError",
        "inside",
        "exception",
    )
    assert 'raise ValueError("inside")' in error["traceback"]


@pytest.mark.parametrize(("kind", "delay_ms"), [("retry", 3000), ("snooze", 4000), ("failed", 0)])
def test_signals_cross_over(agent: Agent, kind: str, delay_ms: int) -> None:
    """What a handler may say does not depend on where it runs."""
    end = outcome_of(agent, claim_of("signals", kind=kind))

    assert (end.kind, end.delay_ms) == (kind, delay_ms)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("killed", "crashed: signal 9"),
        ("abort", "crashed: signal 6"),
        ("exit", "crashed: exit code 3"),
        ("sys.exit", "exception"),
    ],
)
def test_a_crash_is_a_failure_of_the_task(agent: Agent, how: str, reason: str) -> None:
    """It costs an attempt, not the worker."""
    end = outcome_of(agent, claim_of("dies", how=how))

    assert (end.kind, error_of(end)["reason"]) == ("retry", reason)
    assert outcome_of(agent, claim_of("dies", how=how, attempt=3)).kind == "failed"


def test_out_of_time_it_is_killed_with_all_it_started(agent: Agent, tmp_path: Path) -> None:
    """Also when it never looks up from its work. A busy machine may need long to begin with it."""
    for timeout_ms in (2_000, 20_000, 100_000):
        end = outcome_of(
            agent, claim_of("hangs", path=str(tmp_path / "pids"), timeout_ms=timeout_ms)
        )
        assert (end.kind, error_of(end)["reason"]) == ("retry", "timeout")
        if (tmp_path / "pids").exists():
            break

    for pid in pids_in(tmp_path / "pids"):
        wait_until(lambda pid=pid: not alive(pid), what=f"{pid} to end")  # type: ignore[misc]


@pytest.mark.parametrize(
    ("reason", "kind"), [("cancelled", "cancelled"), ("shutdown", "release"), ("lost", None)]
)
def test_it_can_be_stopped_from_outside(
    agent: Agent, tmp_path: Path, reason: str, kind: str | None
) -> None:
    """At once, whatever it is doing."""
    claim = claim_of("hangs", path=str(tmp_path / "pids"))

    async def steps(executor: Executor) -> Outcome | None:
        running = asyncio.create_task(executor.run(claim))
        await asyncio.to_thread(pids_in, tmp_path / "pids")
        assert executor.cancel(claim.member, reason)
        return await running

    end = executed(agent, steps)

    assert (end.kind if end else None) == kind
    for pid in pids_in(tmp_path / "pids"):
        wait_until(lambda pid=pid: not alive(pid), what=f"{pid} to end")  # type: ignore[misc]


@pytest.mark.chaos
def test_when_the_worker_dies_so_does_it(target: Path, tmp_path: Path) -> None:
    """A killed worker leaves no process behind that works on a task somebody else will get."""
    program = f"""if True:
        from coordq.runtime.loader import load
        from tests.claims import claim_of, outcome_of
        agent = load([{str(target)!r}]).agents[0]
        outcome_of(agent, claim_of("hangs", path={str(tmp_path / "pids")!r}))
    """
    worker = subprocess.Popen([sys.executable, "-c", program])
    try:
        pids = pids_in(tmp_path / "pids")
        assert all(map(alive, pids))
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()

    for pid in pids:
        wait_until(lambda pid=pid: not alive(pid), what=f"{pid} to end")  # type: ignore[misc]


def test_a_large_result_comes_through_and_a_larger_one_is_refused(agent: Agent) -> None:
    """The limit is the same as at home."""
    assert len(outcome_of(agent, claim_of("big")).body) == 800_002
    refused = outcome_of(agent, claim_of("big"), result_max=800_001)

    assert (refused.kind, error_of(refused)["reason"]) == ("failed", "result-too-large")


def test_threads_it_leaves_behind_do_not_hold_the_outcome(agent: Agent) -> None:
    """It has said its last word; what still runs in it is ended."""
    assert outcome_of(agent, claim_of("leaves_threads")).body == b"1"


def test_arguments_are_checked_before_a_process_is_started(agent: Agent) -> None:
    """A dead letter need not cost a third of a second."""
    dead = outcome_of(agent, claim_of("where", n="x"))

    assert (dead.kind, error_of(dead)["reason"]) == ("failed", "invalid-arguments")


def test_a_target_that_lost_its_task_is_a_failure_that_says_so(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file changed after the worker had loaded it."""
    other = tmp_path / "other.py"
    other.write_text(
        "from coordq.work.agent import Agent\nagent = Agent('other')\n"
        "@agent.task\ndef another() -> None: ...\n"
    )
    monkeypatch.setattr(agent.handlers["where"], "source", str(other))
    end = outcome_of(agent, claim_of("where", n=1))

    assert end.kind == "retry"
    assert "no task 'where'" in error_of(end)["message"]


def test_without_a_source_the_worker_s_targets_are_loaded(
    agent: Agent, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And without those, the file in which the handler was defined."""
    monkeypatch.setattr(agent.handlers["where"], "source", "")
    isolation = Isolation(targets=[str(target.parent)])

    assert outcome_of(agent, claim_of("where", n=1), isolation=isolation).kind == "succeeded"
    assert outcome_of(agent, claim_of("where", n=1)).kind == "succeeded"


def test_the_client_connects_to_where_the_worker_works(
    agent: Agent, redis_url: str, namespace: str
) -> None:
    """An isolated task may enqueue, like any other."""
    isolation = Isolation(url=redis_url, namespace=namespace)
    for name in ("enqueues", "enqueues_async"):
        end = outcome_of(agent, claim_of(name), isolation=isolation)
        assert end.kind == "succeeded", end.body
    with connect(redis_url, namespace=namespace) as client:
        assert [task.name for task in client.work.ls()] == ["echo", "echo"]


def test_several_at_once_do_not_mix(agent: Agent) -> None:
    """Each has its own socket, and inherits nobody else's."""

    async def steps(executor: Executor) -> list[Any]:
        return await asyncio.gather(*(executor.run(claim_of("where", n=n)) for n in range(4)))

    results = [json.loads(end.body) for end in executed(agent, steps)]

    assert [result["n"] for result in results] == [0, 1, 2, 3]
    assert len({result["pid"] for result in results}) == 4


def _ours() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if one.name.startswith("coordq-")}


def test_nothing_is_left_open(agent: Agent) -> None:
    """Neither descriptors nor threads."""
    there = _ours()

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    async def steps(executor: Executor) -> tuple[int, int]:
        await executor.run(claim_of("dies", how="exit"))
        before = descriptors()
        for how in ("exit", "killed"):
            await executor.run(claim_of("dies", how=how))
        return before, descriptors()

    before, after = executed(agent, steps)
    assert after <= before
    wait_until(lambda: _ours() <= there, what="the threads to end")
