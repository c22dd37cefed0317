"""Orders that reach a worker through Redis, at once: cancel this, drain, stop, show your stacks.

What arrives here is a short cut. A cancel is also told by the next full beat, so an order that is
lost comes late, not never.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final

from coordq.engine import keys
from coordq.engine.aio import AsyncEngine
from coordq.errors import CoordqError
from coordq.runtime.control import Message, parse

BLOCK_S: Final = 20.0
RETRY_S: Final = 0.5

_log = logging.getLogger("coordq.worker")


async def listen(
    engine: AsyncEngine, shard: int, *, worker: str, obey: Callable[[Message], None]
) -> None:
    """Pass on what arrives on one shard, for ever."""
    line = await engine.dedicated(shard)
    key = keys.inbox(keys.root(engine.namespace, shard), worker)
    try:
        while True:
            try:
                reply = await line.block("BLPOP", key, timeout_s=BLOCK_S)
            except CoordqError:
                await asyncio.sleep(RETRY_S * random.uniform(0.5, 1.5))
                continue
            if reply is None:
                continue
            message = parse(reply[1])
            if message is None:
                _log.warning("an order that cannot be read was ignored: %.80r", reply[1])
            else:
                obey(message)
    finally:
        await line.close()
