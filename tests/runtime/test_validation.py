"""Results that count when a second agent agrees: by real workers, whatever becomes of a run."""

from __future__ import annotations

import json
import signal
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from coordq.client.client import Client
from coordq.errors import InvalidAgent, TaskFailed
from coordq.runtime.validation import _verdict, kept
from coordq.work.agent import Agent
from coordq.work.batch import Batch
from coordq.work.task import State
from coordq.work.waits import Memory
from tests.claims import claim_of
from tests.runtime.conftest import NewFleet
from tests.waiting import wait_until

PAIR = """
    import os
    from pathlib import Path
    from coordq.work.agent import Agent
    from coordq.work.backoff import Backoff
    from coordq.work.context import Context

    writer = Agent("writer", role="writer")
    critic = Agent("critic", role="critic")

    def note(path: str, line: str) -> int:
        with open(path, "a") as file:
            file.write(line + "\\n")
        return len(Path(path).read_text().splitlines())

    @writer.task(validate_by="critic", backoff=Backoff(base=0.01))
    async def write(ctx: Context, path: str, good_from: int = 1) -> dict:
        turn = note(path, f"{ctx.attempt} {ctx.state}")
        await ctx.checkpoint(f"after {turn}")
        return {"turn": turn, "good": turn >= good_from}

    @writer.task(validate_by="critic")
    def write_in_a_thread(path: str) -> dict:
        return {"turn": note(path, "thread"), "good": True}

    @writer.task(validate_by="critic", isolation="process")
    def write_apart(path: str) -> dict:
        return {"turn": note(path, "apart"), "good": True}

    @writer.task(validate_by="critic", max_attempts=1)
    async def write_nonsense(path: str) -> str:
        note(path, "nonsense")
        return "nonsense"

    @critic.task
    async def validate(ctx: Context, task: str, args: dict, result: object) -> object:
        gate = Path(args["path"] + ".shut")
        if gate.exists():
            await ctx.sleep(0.2)
        if not isinstance(result, dict):
            return "maybe"
        return {"ok": result["good"], "note": f"{task}: turn {result['turn']}"}
"""


@pytest.fixture
def targets(tmp_path: Path) -> tuple[str, ...]:
    """The file with both agents."""
    file = tmp_path / "pair.py"
    file.write_text(textwrap.dedent(PAIR))
    return (str(file),)


@pytest.fixture
def pair(new_fleet: NewFleet, tmp_path: Path, targets: tuple[str, ...]) -> Path:
    """A worker with both agents runs; where handlers write what they did."""
    new_fleet(targets=targets, processes=2)
    return tmp_path / "turns"


def turns(path: Path) -> list[str]:
    """What handlers wrote."""
    return path.read_text().splitlines()


@pytest.mark.parametrize("task", ["write", "write_in_a_thread", "write_apart"])
def test_a_result_counts_when_the_second_agent_agrees(
    client: Client, pair: Path, task: str
) -> None:
    """The handler is called once, although its task is run again for the verdict."""
    result = client.work.run(task, {"path": str(pair)}, timeout=20)

    assert result == {"turn": 1, "good": True}
    assert len(turns(pair)) == 1


def test_a_result_that_is_rejected_costs_an_attempt(client: Client, pair: Path) -> None:
    """The next one begins without a checkpoint, and its result is judged by itself."""
    handle = client.work.enqueue("write", {"path": str(pair), "good_from": 2})

    assert handle.result(timeout=60) == {"turn": 2, "good": True}
    assert turns(pair) == ["1 None", "2 None"]


def test_a_result_that_nobody_accepts_is_a_dead_letter(client: Client, pair: Path) -> None:
    """With the note of who rejected it."""
    handle = client.work.enqueue("write", {"path": str(pair), "good_from": 9})

    with pytest.raises(TaskFailed, match="write: turn 3") as failed:
        handle.result(timeout=60)

    assert failed.value.error["type"] == "ResultRejected"
    assert failed.value.reason == "rejected"
    assert len(turns(pair)) == 3


def test_what_is_no_verdict_is_a_no(client: Client, pair: Path) -> None:
    """A result must not count by mistake."""
    handle = client.work.enqueue("write_nonsense", {"path": str(pair)})

    with pytest.raises(TaskFailed, match="'maybe' is no verdict"):
        handle.result(timeout=60)


def test_a_worker_that_dies_while_a_result_is_judged_does_not_lose_it(
    client: Client, new_fleet: NewFleet, tmp_path: Path, targets: tuple[str, ...]
) -> None:
    """The result was kept; whoever goes on calls no handler."""
    path = tmp_path / "turns"
    shut = Path(f"{path}.shut")
    shut.touch()
    first = new_fleet(targets=targets)
    handle = client.work.enqueue("write", {"path": str(path)})
    wait_until(lambda: client.work.get(handle.id).state is State.SUSPENDED, what="the question")
    first.signal_all(signal.SIGKILL)
    shut.unlink()
    new_fleet(targets=targets)

    assert handle.result(timeout=60) == {"turn": 1, "good": True}
    assert len(turns(path)) == 1


def test_only_what_we_have_kept_is_taken_for_a_result() -> None:
    """A handler's own checkpoint is its own."""
    claim = claim_of("n")
    states: tuple[Any, ...] = (None, [], {"result": "1"}, {"$result": 7})
    for state in states:
        assert kept(replace(claim, memory=Memory(state))) is None

    assert kept(replace(claim, memory=Memory({"$result": "[1]"}))) == b"[1]"


@pytest.mark.parametrize(
    ("said", "good"),
    [
        (True, True),
        (False, False),
        ({"ok": True}, True),
        ({"ok": False, "note": "x"}, False),
        (1, False),
        ("yes", False),
        (None, False),
        ({"ok": "yes"}, False),
        ([True], False),
    ],
)
def test_a_verdict_is_true_or_ok(said: object, good: bool) -> None:  # noqa: FBT001 - a table
    """Everything else is a no."""
    assert _verdict(json.loads(json.dumps(said)))[0] is good


async def write_lines(lines: list[str]) -> list[str]:
    """A handler."""
    return lines


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"validate_by": "writer"}, "check itself"),
        ({"validate_by": "a b"}, "not allowed"),
        ({"validate_by": 7}, "not text"),
        ({"validate_by": "critic", "batch": Batch(size=5)}, "batch"),
        ({"validate_by": "critic", "name": "validate"}, "check itself"),
    ],
)
def test_a_check_that_cannot_be_is_refused(options: dict[str, Any], words: str) -> None:
    """When the agent is defined."""
    agent = Agent("ada", role="writer")

    with pytest.raises(InvalidAgent, match=words):
        agent.task(**options)(write_lines)
