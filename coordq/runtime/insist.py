"""Calls that must reach Redis, however long it is away."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TypeVar

from coordq.engine.aio import AsyncEngine
from coordq.engine.call import Call
from coordq.errors import CoordqError, Unreachable

T = TypeVar("T")


async def insist(engine: AsyncEngine, call: Call[T], *, log: logging.Logger) -> T | None:
    """Run a call until Redis has answered; None when it was refused, which is logged."""
    while True:
        try:
            return await engine.run(call)
        except Unreachable:
            await asyncio.sleep(random.uniform(0.1, 0.5))
        except CoordqError as error:
            log.log(logging.ERROR, "%s is refused: %s", call.script, error)
            return None
