"""One child as its parent sees it: a process, a socket, a ledger, and what it says of itself."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from enum import StrEnum
from typing import Any

from coordq import clock, settings
from coordq.runtime.control import Control, Message
from coordq.runtime.ledger import Held, Ledger, Mark, Word
from coordq.runtime.worker import WorkerSettings

MODULE = "coordq.runtime.child"


class Phase(StrEnum):
    """How far a child is in its life."""

    STARTING = "starting"
    SERVING = "serving"
    LEAVING = "leaving"
    GONE = "gone"


class ChildProcess:
    """Made and started by `spawn`. Reading the ledger works as long as `bury` was not called."""

    def __init__(self, *, worker: str, index: int, generation: int, ledger: Ledger) -> None:
        self.index = index
        self.generation = generation
        self.name = f"{worker}/{index}.{generation}"
        self.ledger = ledger
        self.phase = Phase.STARTING
        self.born = clock.monotonic()
        self.agents: list[dict[str, Any]] = []
        self.queues: list[str] = []
        self.stalled = False
        self.replaced = False
        """A successor has been started, or is not wanted."""
        self.broken = ""
        """Why it could not load its targets."""
        self.condemned: frozenset[str] | None = None
        """When the parent killed it: the members that are to blame."""
        self.farewell = False
        """It has said good-bye: an exit code of 0 is meant."""
        self.told: set[str] = set()
        """Members whose cancelling it has been told of."""
        self._popen: subprocess.Popen[bytes]
        self._control: Control | None = None

    @classmethod
    async def spawn(
        cls, settings: WorkerSettings, *, worker: str, index: int, generation: int, ledger: Ledger
    ) -> ChildProcess:
        """Start a process, fresh: a fork would inherit the parent's threads and connections."""
        child = cls(worker=worker, index=index, generation=generation, ledger=ledger)
        ours, theirs = socket.socketpair()
        inherited = (theirs.fileno(), ledger.fd)
        command = [sys.executable, "-P", "-m", MODULE, child.name, *map(str, inherited)]
        child._popen = _start(command, inherited)
        theirs.close()
        child._control = await Control.open(ours)
        shown = f"{worker}/{index}"
        child.say({"do": "start", "settings": settings.to_dict(), "shown": shown})
        return child

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether it is there and not on its way out."""
        return self.phase in {Phase.STARTING, Phase.SERVING}

    def say(self, message: Message) -> None:
        """Tell it something."""
        if self._control is not None and self.phase is not Phase.GONE:
            self._control.say(message)

    def messages(self) -> Any:
        """What it says, until it is gone."""
        assert self._control is not None
        return self._control.messages()

    def cancel(self, held: Held, reason: str) -> None:
        """Have a claim's handler stopped, once per reason, if it still is in its slot.

        The answer to a beat may come after the child's death, whose ledger is closed then.
        """
        if self.phase is Phase.GONE:
            return
        key = f"{reason} {held.member}"
        if key not in self.told and self.ledger.holds(held):
            self.told.add(key)
            self.say({"do": "cancel", "member": held.member, "reason": reason})

    def held(self) -> list[Held]:
        """The claims it holds."""
        return [] if self.phase is Phase.GONE else self.ledger.held()

    def tick_age_s(self) -> float:
        """For how long its loop has not turned; 0 while it has not begun to."""
        last = self.ledger.get(Word.TICK)
        return clock.monotonic() - last / 1e9 if last else 0.0

    def signal(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        if self.phase is not Phase.GONE:
            self._popen.send_signal(number)

    def kill(self, guilty: frozenset[str] | None = None) -> None:
        """End it at once. `guilty`: the members that are to blame; None to judge by the ledger."""
        self.condemned = guilty
        self.signal(signal.SIGKILL)

    def guilty(self, held: list[Held], code: int) -> set[str]:
        """Which of the claims it died with get a strike.

        One that is suspect already is blamed alone; if there is none, all that ran are.
        """
        if self.condemned is not None:
            return set(self.condemned)
        if code == 0 and self.farewell:
            return set()
        suspects = {one.member for one in held if one.mark is Mark.SUSPECT}
        return suspects or {one.member for one in held if one.mark is Mark.RUNNING}

    async def ended(self) -> int:
        """Wait for its end; returns the exit code, negative for a signal."""
        return await ended(self._popen)

    def bury(self) -> None:
        """It has ended and its ledger was read for the last time."""
        self.phase = Phase.GONE
        if self._control is not None:
            self._control.close()
        self.ledger.close()

    def facts(self) -> dict[str, Any]:
        """What lists and health checks show."""
        running = 0 if self.phase is Phase.GONE else self.ledger.get(Word.RUNNING)
        return {
            "index": self.index,
            "generation": self.generation,
            "pid": self.pid,
            "state": "stalled" if self.stalled else str(self.phase),
            "running": running,
        }


def _start(command: list[str], inherited: tuple[int, ...]) -> subprocess.Popen[bytes]:
    """Not asyncio's subprocess: its watchers differ by version and loop, and no pipe is needed."""
    return subprocess.Popen(command, pass_fds=inherited, env=settings.environment())


async def ended(popen: subprocess.Popen[bytes]) -> int:
    """Wait for a process's end; returns the exit code, negative for a signal."""
    try:
        await _readable(os.pidfd_open(popen.pid))
    except (AttributeError, OSError):  # not Linux, or one older than 5.3
        await _joined(popen)
    return popen.wait()


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)


async def _joined(popen: subprocess.Popen[bytes]) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def wait() -> None:
        popen.wait()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, daemon=True).start()
    await ended.wait()
