"""Handlers of messages take turns: quick ones share a task, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, cast

from coordq import Agent
from coordq.bus.envelope import Message
from coordq.bus.take import Given
from coordq.runtime.ear import Ear
from coordq.runtime.heard import Entry, Heard, heard
from coordq.runtime.turns import Turns

NOBODY = cast("Ear", None)
"""These messages were taken by nobody."""
seen: ContextVar[str] = ContextVar("seen", default="nothing")

agent = Agent("ada")


@agent.on("a.*")
async def first() -> None:
    """Has no limit of its own."""


@agent.on("b.*", concurrency=2)
async def second() -> None:
    """Two at once."""


def message(topic: str, number: int) -> Heard:
    """A message for the listener of that topic."""
    given = Given("g", f"n{topic}.x", f"{number}-0", 2, 1, b"", b"{}")
    name = "@ada.first" if topic == "a" else "@ada.second"
    said = Message(str(number), f"{topic}.x", {})
    return heard(said, agent.listeners[name], Entry(given, 1), nth=0)


def run(
    handle: Callable[[str], Awaitable[bool]], topics: str, *, slots: int = 8
) -> tuple[Turns, list[str]]:
    """Handle a message of each of these topics; ids, in the order in which they began."""
    begun: list[str] = []

    async def handled(_: Ear, one: Heard) -> bool:
        begun.append(one.id)
        return await handle(one.id)

    async def play() -> Turns:
        rested = asyncio.Event()
        turns = Turns(agent.listeners.values(), handle=handled, rested=rested.set, slots=slots)
        for number, topic in enumerate(topics):
            turns.add(NOBODY, message(topic, number))
        turns.go()
        async with asyncio.timeout(30):
            while turns.busy:
                rested.clear()
                await rested.wait()
            await turns.emptied()
        return turns

    return asyncio.run(play()), begun


def test_quick_handlers_share_a_task() -> None:
    """A task costs more than most of them take."""
    tasks: set[Any] = set()

    async def quick(_: str) -> bool:
        tasks.add(asyncio.current_task())
        return True

    _, begun = run(quick, "a" * 50)

    assert len(begun) == 50
    assert len(tasks) < 50


def test_a_handler_sees_nothing_of_what_another_has_set() -> None:
    """Context variables are a message's own, as they are with a task for each."""
    found: list[str] = []

    async def sets(which: str) -> bool:
        found.append(seen.get())
        seen.set(which)
        return True

    run(sets, "aaaa")

    assert found == ["nothing"] * 4


def test_a_task_that_was_told_to_stop_handles_no_other_message() -> None:
    """What was meant for one would interrupt the next."""
    ended: list[str] = []

    async def stopped(which: str) -> bool:
        task = asyncio.current_task()
        assert task is not None
        if which == "0":
            task.cancel()
            return True
        await asyncio.sleep(0)
        ended.append(which)
        return True

    run(stopped, "aaa")

    assert sorted(ended) == ["1", "2"]


def test_handlers_that_wait_run_side_by_side_within_their_limits() -> None:
    """Two of the second listener, and four of both."""
    running: list[str] = []
    most: list[int] = []
    seconds: list[int] = []

    async def waits(which: str) -> bool:
        running.append(which)
        for _ in range(20):  # long enough for all that may begin
            await asyncio.sleep(0)
            most.append(len(running))
            seconds.append(sum(one in "01234" for one in running))
        running.remove(which)
        return True

    run(waits, "bbbbbaaaaa", slots=4)

    assert max(most) == 4
    assert max(seconds) == 2


def test_listeners_take_turns() -> None:
    """One with many messages does not make another wait until all are handled."""

    async def quick(_: str) -> bool:
        return True

    _, begun = run(quick, "aaaabb")

    assert begun == ["0", "4", "1", "5", "2", "3"]


def test_what_is_taken_ahead_is_a_moments_work() -> None:
    """More of what is quick, and of what is slow no more than runs at once."""

    async def slow(_: str) -> bool:
        await asyncio.sleep(0.3)
        return True

    turns, _ = run(slow, "a", slots=2)
    fresh = Turns(agent.listeners.values(), handle=cast("Any", None), rested=lambda: None, slots=2)

    assert turns.room() == 2
    assert fresh.room() > 2


def test_what_has_not_begun_can_be_given_back() -> None:
    """A drain hands it to others."""
    turns = Turns(agent.listeners.values(), handle=cast("Any", None), rested=lambda: None, slots=2)
    for number in range(3):
        turns.add(NOBODY, message("a", number))

    assert [one.id for _, one in turns.clear()] == ["0", "1", "2"]
    assert not turns.busy
