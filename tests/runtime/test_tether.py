"""A process that was started by a spawner ends in good order when the spawner is gone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordq.errors import InvalidOption
from coordq.runtime.tether import Tether
from tests.waiting import wait_until_async


@pytest.fixture
def pipe() -> Iterator[list[int]]:
    """A reading and a writing end; those still in the list are closed after the test."""
    ends = list(os.pipe())
    yield ends
    for fd in ends:
        os.close(fd)


def test_the_end_of_the_spawner_is_noticed(pipe: list[int]) -> None:
    """The kernel closes the other end, however the spawner ended."""
    parted: list[str] = []

    async def watch() -> None:
        Tether((pipe[0],), parted=lambda: parted.append("gone")).watch()
        await asyncio.sleep(0)
        assert not parted
        os.close(pipe.pop())
        await wait_until_async(lambda: parted)

    asyncio.run(watch())
    assert parted == ["gone"]


def test_what_is_printed_after_that_is_taken(pipe: list[int]) -> None:
    """Not only allowed: a pipe that nobody empties would hold up whoever prints a lot."""
    reading, writing = os.pipe()

    async def watch() -> None:
        parted = asyncio.Event()
        Tether((pipe[0], reading), parted=parted.set).watch()
        os.close(pipe.pop())
        await parted.wait()
        left = 1_000_000
        while left:  # a write that a signal interrupts writes less
            left -= await asyncio.to_thread(os.write, writing, b"x" * left)

    asyncio.run(watch())
    os.close(writing)
    os.close(reading)


def test_a_tether_that_is_none_is_refused(tmp_path: Path) -> None:
    """A number that somebody guessed is told at the start, not at the end."""
    with (tmp_path / "file").open("w") as file:

        async def watch(*fds: int) -> None:
            Tether(fds, parted=lambda: None).watch()

        for fds in ((file.fileno(),), (999,)):
            with pytest.raises(InvalidOption, match="--tether"):
                asyncio.run(watch(*fds))
