"""One worker, or supervisor, as its spawner sees it: a process tree in a session of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from contextlib import suppress
from enum import StrEnum
from typing import Any, Final

from coordq import clock
from coordq.runtime.logs import Format
from coordq.runtime.process import ended
from coordq.runtime.shutdown import STOP_S
from coordq.runtime.spawner.recipe import Recipe
from coordq.runtime.spawner.relay import Relay
from coordq.work.queue import WorkerView

ORPHANS_S: Final = 2.0
"""Children that lost their parent have given back what they held, and ended, by then."""
SWEEP_S: Final = 1.0
"""So long we wait for the kernel to be done with what was killed."""
LATE_S: Final = 5.0
"""A member that should have ended so long ago does not do what it is told."""
POLL_S: Final = 0.02


class Phase(StrEnum):
    """How far a member is in its life."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


class Member:
    """A running process tree. Made by `start`; `ended` must be awaited by one."""

    def __init__(self, recipe: Recipe, number: int, popen: subprocess.Popen[bytes]) -> None:
        self._recipe = recipe
        self._popen = popen
        self._reins: int
        self._relay: Relay
        self._late: asyncio.TimerHandle | None = None
        self.number = number
        """Its place in the group."""
        self.phase = Phase.STARTING
        self.since_ms = clock.now_ms()
        """When it came to its phase."""
        self.worker = ""
        """What it is called in the registry of workers; empty until it was seen there."""
        self.trial = False
        """It shall replace another, if it turns out to serve."""
        self.killed = False
        """By us: what it was doing is not to blame."""

    @classmethod
    def start(cls, recipe: Recipe, number: int, *, form: Format) -> Member:
        """Start the process. Raises OSError."""
        tether, reins = os.pipe()
        reading, writing = os.pipe()
        command = [*recipe.command, "--name", f"{recipe.name}.{number}"]
        try:
            popen = subprocess.Popen(
                [*command, "--tether", f"{tether},{reading}", *recipe.after],
                env=recipe.environment,
                cwd=recipe.folder,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                pass_fds=(tether, reading),
                start_new_session=True,
            )
        except BaseException:
            os.close(reins)
            os.close(reading)
            raise
        finally:
            os.close(tether)
            os.close(writing)
        member = cls(recipe, number, popen)
        member._reins = reins
        member._relay = Relay(reading, mark=f"{recipe.group}.{number}", form=form)
        member._be_nice()
        return member

    def _be_nice(self) -> None:
        """At once, while it is one thread; what it starts later inherits it."""
        if self._recipe.nice:
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self.pid, self._recipe.nice)

    @property
    def pid(self) -> int:
        """Of its first process."""
        return self._popen.pid

    @property
    def told(self) -> bool:
        """Whether it was told to end."""
        return self.phase is Phase.DRAINING

    @property
    def shown(self) -> str:
        """What it is called in logs and events."""
        return self.worker or f"{self._recipe.name}.{self.number}.{self.pid}"

    def recognises(self, name: str) -> bool:
        """Whether `name` is what it is called among workers or supervisors."""
        return name.startswith(f"{self._recipe.name}.{self.number}.{self.pid}-")

    def see(self, view: WorkerView) -> None:
        """Take in what the registry of workers says of it."""
        self.worker = view.name
        children = view.info.get("children") or []
        ready = [child for child in children if child.get("state") != "starting"]
        if view.info.get("agents") and len(ready) >= self._recipe.processes:
            self.serves(view.name)

    def serves(self, name: str) -> None:
        """It was seen at work."""
        self.worker = name
        if self.phase is Phase.STARTING:
            self._enter(Phase.SERVING)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self.since_ms = clock.now_ms()

    # -- its end -------------------------------------------------------------------------------

    def drain(self) -> None:
        """Tell it to finish what it has begun and to end; killed when it does not, in time."""
        if self.told:
            return
        self._enter(Phase.DRAINING)
        self._signal(signal.SIGTERM)
        patience_s = self._recipe.drain_s + STOP_S + LATE_S
        self._late = asyncio.get_running_loop().call_later(patience_s, self.kill)

    def stop(self) -> None:
        """Tell it to give back what it holds and to end now: a second time, that is."""
        self.drain()
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End all of its processes."""
        self.killed = True
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            self._popen.send_signal(number)

    async def ended(self) -> int:
        """Wait for the end of all its processes; the exit code of the first, or minus a signal."""
        code = await ended(self._popen)
        if self._late is not None:
            self._late.cancel()
        await self._sweep()
        self._relay.close()
        os.close(self._reins)
        return code

    async def _sweep(self) -> None:
        """The end of a parent is no proof that its children have ended."""
        for wait_s in (ORPHANS_S, SWEEP_S):
            deadline = clock.monotonic() + wait_s
            while clock.monotonic() < deadline:
                if not _anybody_in(self.pid):
                    return
                await asyncio.sleep(POLL_S)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def facts(self) -> dict[str, Any]:
        """For the fleet's status."""
        return {
            "worker": self.shown,
            "pid": self.pid,
            "state": str(self.phase),
            "since_ms": self.since_ms,
        }


def _anybody_in(group: int) -> bool:
    """Whether a process group has members; those that are dead and ours to collect are collected.

    They are ours in a container whose first process we are.
    """
    with suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def how(code: int) -> str:
    """How a process ended, as a predicate."""
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"exited with {code}"
