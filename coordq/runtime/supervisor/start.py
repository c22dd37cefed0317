"""The call that runs a supervisor: `run_supervisor(settings) -> exit code`."""

from __future__ import annotations

import asyncio

from coordq.runtime import logs
from coordq.runtime.supervisor.settings import SupervisorSettings
from coordq.runtime.supervisor.supervisor import Supervisor
from coordq.runtime.worker import unique_name


def run_supervisor(settings: SupervisorSettings) -> int:
    """Run a supervisor until it is told to stop; returns the process's exit code, 0.

    Raises InvalidOption, InvalidName, and what opening the engine raises (Unreachable, ...).
    Must be called from the main thread: it takes over the signals TERM and INT. A second one ends
    the process at once, with exit code 1.
    """
    settings.check()
    name = unique_name(settings.name)
    logs.configure(
        name,
        form=settings.log_format,
        level=settings.log_level,
        everything=False,
        role="supervisor",
    )
    return asyncio.run(Supervisor(settings, name=name).run())
