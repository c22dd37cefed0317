"""The children of a worker without the rest of it."""

from __future__ import annotations

from coordq.engine.aio import AsyncEngine
from coordq.runtime.brood import Brood
from coordq.runtime.worker import WorkerSettings


def brood_of(engine: AsyncEngine, settings: WorkerSettings) -> Brood:
    """Those of worker w1, of whom nobody hears anything. None is started yet."""
    return Brood(
        settings,
        worker="w1",
        engine=engine,
        on_message=lambda _child, _message: None,
        on_change=lambda: None,
    )
