"""The children of a worker: an order is for all of them, also for one that is on its way."""

from __future__ import annotations

import asyncio
import textwrap
from pathlib import Path
from typing import Any

import pytest

from coordq.engine.aio import open_async_engine
from coordq.runtime.process import ChildProcess
from coordq.runtime.worker import WorkerSettings
from tests.runtime.broods import brood_of
from tests.runtime.fleet import AGENT
from tests.waiting import wait_until_async


@pytest.mark.live
@pytest.mark.parametrize("order", ["drain", "stop", "kill"])
def test_a_child_that_is_being_started_when_all_are_told_to_end_is_told_as_well(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    """Else a worker that is told to end while it starts would only do so when time is up."""
    (tmp_path / "tester.py").write_text(textwrap.dedent(AGENT))
    settings = WorkerSettings((str(tmp_path / "tester.py"),), redis_url, namespace)
    spawn = ChildProcess.spawn

    async def story() -> None:
        async def interrupted(*given: Any, **more: Any) -> ChildProcess:
            child = await spawn(*given, **more)
            getattr(brood, order)()
            return child

        monkeypatch.setattr(ChildProcess, "spawn", interrupted)
        async with await open_async_engine(redis_url, namespace=namespace) as engine:
            brood = brood_of(engine, settings)
            await brood.start()
            await wait_until_async(lambda: not brood.children, what="the child's end")
            await brood.settled(60)

    asyncio.run(story())
