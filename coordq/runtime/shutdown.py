"""How a worker ends, in stages that only go forward.

| stage | begun by | children |
| --- | --- | --- |
| running | | serve |
| draining | first TERM or INT, burst done | claim nothing more, finish what runs |
| stopping | second TERM or INT, or the drain timeout | cancel what runs and give it back |
| killed | third TERM or INT, QUIT, or a child that does not stop | SIGKILL; the parent gives back |

The parent beats until the last child has gone, so nothing lapses while it drains.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from enum import IntEnum
from typing import Final

STOP_S: Final = 8.0
"""How long children may take to give back what they hold before they are killed."""

_log = logging.getLogger("coordq.worker")


class Stage(IntEnum):
    """How far the end of a worker is."""

    RUNNING = 0
    DRAINING = 1
    STOPPING = 2
    KILLED = 3


class Shutdown:
    """Where the worker stands, and what moves it on."""

    def __init__(self, *, drain_timeout_s: float, enter: Callable[[Stage], None]) -> None:
        self.stage = Stage.RUNNING
        self._enter = enter
        self._patience_s = {Stage.DRAINING: drain_timeout_s, Stage.STOPPING: STOP_S}
        self._timer: asyncio.TimerHandle | None = None

    def watch_signals(self) -> None:
        """Take over TERM, INT and QUIT."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._on_signal, "TERM")
        loop.add_signal_handler(signal.SIGINT, self._on_signal, "INT")
        loop.add_signal_handler(signal.SIGQUIT, self.to, Stage.KILLED, "QUIT")

    def _on_signal(self, name: str) -> None:
        self.to(Stage(min(self.stage + 1, Stage.KILLED)), name)

    def to(self, stage: Stage, why: str) -> None:
        """Go on to `stage`; nothing happens when the worker is there already or further."""
        if stage <= self.stage:
            return
        self.stage = stage
        _log.info("%s: %s", stage.name.lower(), why)
        if self._timer is not None:
            self._timer.cancel()
        if (patience_s := self._patience_s.get(stage)) is not None:
            loop = asyncio.get_running_loop()
            following = Stage(stage + 1)
            reason = f"not done after {patience_s:g} s"
            self._timer = loop.call_later(patience_s, self.to, following, reason)
        self._enter(stage)
