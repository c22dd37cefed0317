"""A script was carried out and its reply never came: how tests make that happen."""

from __future__ import annotations

import asyncio
from typing import Any

from coordq.engine import scripts
from coordq.engine.aio import open_async_engine
from coordq.engine.call import Call
from tests.proxy import LossyProxy
from tests.work.desk import Desk


def lose(desk: Desk, proxy: LossyProxy, call: Call[Any]) -> None:
    """The next reply to this script is lost. It is known to Redis, or the reply is NOSCRIPT."""
    script = scripts.load(call.script)
    desk.redis("SCRIPT", "LOAD", script.source)
    proxy.drop_reply(script.sha.encode())


def run_async(url: str, namespace: str, call: Call[Any]) -> Any:
    """The call's answer from an async engine of its own."""

    async def run() -> Any:
        async with await open_async_engine(url, namespace=namespace) as engine:
            return await engine.run(call)

    return asyncio.run(run())
