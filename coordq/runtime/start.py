"""The call that runs a worker: `run_worker(settings) -> exit code`."""

from __future__ import annotations

import asyncio

from coordq.runtime import logs
from coordq.runtime.parent import Parent
from coordq.runtime.worker import WorkerSettings, worker_name


def run_worker(settings: WorkerSettings) -> int:
    """Run a worker until it is told to stop; returns the process's exit code.

    0: it ended in good order. 1: its targets cannot be loaded, or it had to be forced to end.
    Raises InvalidOption, InvalidName, and what opening the engine raises (Unreachable, ...).
    Must be called from the main thread: it takes over the signals TERM, INT, QUIT and USR1.
    """
    settings.check()
    name = worker_name(settings)
    logs.configure(name, form=settings.log_format, level=settings.log_level, everything=False)
    return asyncio.run(Parent(settings, name=name).run())
