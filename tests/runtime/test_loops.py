"""What runs side by side until the end: a mistake in one of them is told, and never lost."""

from __future__ import annotations

import asyncio

from coordq.runtime.loops import Loops


def test_who_fails_is_told_of_and_the_others_run_on() -> None:
    """A loop that ended unseen would leave a process that lives and does half of its work."""

    async def breaks() -> None:
        raise ValueError("broken")

    async def run() -> tuple[str, bool, bool]:
        errors: asyncio.Queue[BaseException] = asyncio.Queue()
        forever = asyncio.Event()
        loops = Loops(errors.put_nowait)
        loops.go(goes_on(forever))
        loops.go(breaks())
        error = await errors.get()
        ran_on = not forever.is_set()
        await loops.end()
        return str(error), ran_on, forever.is_set() and errors.empty()

    async def goes_on(ended: asyncio.Event) -> None:
        try:
            await asyncio.Future()
        finally:
            ended.set()

    assert asyncio.run(run()) == ("broken", True, True)


def test_the_end_waits_for_what_is_tidied_up() -> None:
    """A process leaves the books of the fleet only when nothing of it writes there any more."""
    ended: list[object] = []

    async def tidies_up(begun: asyncio.Event) -> None:
        try:
            begun.set()
            await asyncio.Future()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    async def run() -> None:
        loops = Loops(ended.append)
        begun = [asyncio.Event() for _ in range(3)]
        for event in begun:
            loops.go(tidies_up(event))
        for event in begun:
            await event.wait()
        await loops.end()

    asyncio.run(run())

    assert ended == [True] * 3
