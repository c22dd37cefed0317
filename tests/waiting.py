"""Waiting for a condition with a deadline: the only synchronisation tests need.

A deadline only ends what hangs, so it is far longer than anything takes on a busy machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from inspect import isawaitable
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

PAUSE_S = 0.01


def wait_until(condition: Callable[[], T], *, within: float = 60, what: str = "") -> T:
    """Ask `condition` until it answers something true, and return that.

    Fails the test after `within` seconds, naming `what` was waited for.
    """
    deadline = time.monotonic() + within
    while not (answer := condition()):
        if time.monotonic() > deadline:
            _give_up(condition, within, what)
        time.sleep(PAUSE_S)
    return answer


async def wait_until_async(
    condition: Callable[[], Any], *, within: float = 60, what: str = ""
) -> Any:
    """Like `wait_until` on an event loop; `condition` may be a coroutine function."""
    deadline = time.monotonic() + within
    while not (answer := await _settled(condition())):
        if time.monotonic() > deadline:
            _give_up(condition, within, what)
        await asyncio.sleep(PAUSE_S)
    return answer


async def _settled(answer: Any) -> Any:
    return await answer if isawaitable(answer) else answer


def _give_up(condition: Callable[[], object], within: float, what: str) -> NoReturn:
    wanted = what or getattr(condition, "__qualname__", repr(condition))
    raise AssertionError(f"waited {within:g} s in vain for: {wanted}")
