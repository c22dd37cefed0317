"""Chapter 22. A task that takes long goes on where it was, not from its start."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordq import Client

AGENTS = """
import os
import signal
from pathlib import Path

from coordq import Agent, Backoff, Context

agent = Agent("worker")


def note(path, word):
    with Path(path).open("a") as file:
        file.write(f"{word} ")


@agent.task(max_attempts=2, backoff=Backoff.fixed(0))
async def read(ctx: Context, chapters: list[str], path: str) -> list[str]:
    done = ctx.state or []
    for chapter in chapters[len(done):]:
        note(path, chapter)
        done.append(chapter.upper())
        await ctx.checkpoint(done)
        if chapter == "two" and ctx.attempt == 1:
            raise RuntimeError("the light went out")
    return done


@agent.task
def survive(ctx: Context, path: str) -> str:
    if ctx.state is None:
        note(path, "paid")
        ctx.checkpoint({"receipt": 17})
        os.kill(os.getpid(), signal.SIGKILL)
    note(path, "delivered")
    return f"receipt {ctx.state['receipt']}"
"""
pytestmark = pytest.mark.usefixtures("worker")


def test_a_checkpoint_outlives_the_attempt(client: Client, tmp_path: Path) -> None:
    """`ctx.state` is what was kept last, and None in the first attempt. Any JSON up to 1 MiB."""
    path = tmp_path / "read"
    handle = client.work.enqueue("read", {"chapters": ["one", "two", "three"], "path": str(path)})

    assert handle.result(timeout=60) == ["ONE", "TWO", "THREE"]
    assert path.read_text() == "one two three "
    assert handle.get().attempt == 2


def test_a_checkpoint_outlives_the_process(client: Client, tmp_path: Path) -> None:
    """It is with Redis when the call returns: kill -9 takes nothing of it. Blocks in `def`."""
    path = tmp_path / "survive"

    assert client.work.run("survive", {"path": str(path)}, wait_for=60) == "receipt 17"
    assert path.read_text() == "paid delivered "
