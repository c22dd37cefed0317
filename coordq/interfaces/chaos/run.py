"""One run of chaos, from an empty stage to a verdict."""

from __future__ import annotations

import heapq
import json
import os
import pickle
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from coordq import clock
from coordq.errors import CoordqError, InvalidOption
from coordq.interfaces.chaos.checker import check
from coordq.interfaces.chaos.faults import Deed, commit
from coordq.interfaces.chaos.history import read_history
from coordq.interfaces.chaos.plan import Fault
from coordq.interfaces.chaos.report import Report, make_report
from coordq.interfaces.chaos.rest import read_rest
from coordq.interfaces.chaos.settings import ChaosSettings
from coordq.interfaces.chaos.stage import Stage

TICK_S: Final = 0.05
AGAIN_S: Final = 0.2
LOOK_EVERY_S: Final = 2.0
OFFSETS: Final = 9
"""So often are the clocks compared: the machine may stop in between."""

Say = Callable[[str], None]


def run_chaos(chosen: ChaosSettings, *, say: Say = lambda _: None) -> Report:
    """Set a stage, break it, and judge what happened. `say` hears how far it is.

    In the main thread only. Interrupted, it ends every process it started before it raises
    KeyboardInterrupt. Raises InvalidOption for settings that make no sense, and CoordqError when
    the stage cannot be set.
    """
    chosen.check()
    plan = chosen.schedule()
    folder = _empty(chosen.folder or Path(tempfile.mkdtemp(prefix="coordq-chaos-")))
    began = clock.monotonic()
    say(f"seed {chosen.seed}: {chosen.tasks:,} tasks, {len(plan)} faults; journals in {folder}")
    try:
        with _interruptible(), Stage(chosen, folder) as stage:
            play = _Play(stage, plan, say)
            play.perform()
            rest, alive = read_rest(stage.client.engine), stage.alive()
            lost, falls = stage.replies_lost(), stage.falls()
            stage.dismiss()
    except KeyboardInterrupt:
        if chosen.folder is None and not chosen.keep:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    say("everything has ended; reading the journals")
    history = read_history(folder)
    history.rest, history.alive = rest, alive
    history.durable = chosen.durability == "replica"
    history.offset_ms = _offset_ms()
    # with the journals this is all that the verdict rests on
    (folder / "rest.pickle").write_bytes(pickle.dumps((rest, alive, history.offset_ms)))
    report = make_report(
        chosen,
        history,
        check(history),
        play.deeds,
        falls=falls,
        replies_lost=lost,
        seconds=clock.monotonic() - began,
        folder=folder,
    )
    _put_away(report, folder, chosen)
    return report


def _empty(folder: Path) -> Path:
    """The folder, made if it is not there. Raises InvalidOption when something is in it."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise InvalidOption(f"{folder} is not empty: name a new folder.", option="folder")
    return folder


_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def _interruptible() -> Iterator[None]:
    """TERM, or the end of the terminal, is taken for Ctrl-C; the cleaning up is not interrupted."""
    with ExitStack() as stack:
        for number in _SIGNALS:
            before = signal.signal(number, _interrupt)
            stack.callback(signal.signal, number, before or signal.SIG_DFL)
        yield


def _interrupt(_number: int, _frame: object) -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _offset_ms() -> int:
    """The wall clock less the monotonic one, of that reading of both which took the least time."""
    readings = []
    for _ in range(OFFSETS):
        before, now_ms, after = clock.monotonic(), clock.now_ms(), clock.monotonic()
        readings.append((after - before, now_ms - int(before * 1000)))
    return min(readings)[1]


def _put_away(report: Report, folder: Path, chosen: ChaosSettings) -> None:
    """The journals stay if they are wanted, or are evidence."""
    if report.violations or chosen.keep or chosen.folder is not None:
        (folder / "report.json").write_text(json.dumps(report.to_json(), indent=2))
    else:
        shutil.rmtree(folder, ignore_errors=True)


class _Play:
    """Carries out a schedule on a stage, in the thread that started the processes."""

    def __init__(self, stage: Stage, plan: tuple[Fault, ...], say: Say) -> None:
        self.stage, self.deeds = stage, list[Deed]()
        self._plan, self._say = plan, say
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()
        self._looked = 0.0
        self._seen, self._moved_at, self._left = (-1, -1, -1), 0.0, 1

    def perform(self) -> None:
        """All faults, and then on until everything has ended, or nothing has for long."""
        self.stage.start_producers()
        began = clock.monotonic()
        for fault in self._plan:
            self._at(began + fault.at_s, partial(self._begin, fault))
        while self._agenda:
            self._turn()
        self._moved_at = clock.monotonic()
        while not (self.stage.produced and self._left <= 0) and not self._stalled():
            self._turn()

    def _at(self, moment: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (moment, next(self._number), act))

    def _turn(self) -> None:
        now = clock.monotonic()
        while self._agenda and self._agenda[0][0] <= now:
            heapq.heappop(self._agenda)[2]()
        self.stage.keep()
        if now - self._looked >= LOOK_EVERY_S:
            self._looked = now
            self._look()
        until = self._agenda[0][0] if self._agenda else now + TICK_S
        time.sleep(max(0.0, min(TICK_S, until - clock.monotonic())))

    def _begin(self, fault: Fault) -> None:
        """Carry out a fault, once its target has got over the one before."""
        going_on = (one.fault.target for one in self.deeds if not one.undone_ms)
        if fault.target in going_on:
            self._at(clock.monotonic() + AGAIN_S, partial(self._begin, fault))
            return
        deed = commit(self.stage, fault)
        self.deeds.append(deed)
        self._at(clock.monotonic() + fault.hold_s, partial(self._end, deed))

    def _end(self, deed: Deed) -> None:
        if not deed.end():
            self._at(clock.monotonic() + AGAIN_S, partial(self._end, deed))

    def _look(self) -> None:
        """Say how far it is; not while Redis is away, for which nothing here shall wait."""
        if not self.stage.calm:
            return
        try:
            queues = self.stage.client.work.queues()
            open_messages, settled = self.stage.messages()
            going_on = self.stage.open_flows() + open_messages
        except CoordqError:
            return
        done = sum(one.succeeded + one.failed + one.cancelled for one in queues)
        came = sum(one.enqueued for one in queues)
        if (came, done, settled) != self._seen:
            self._seen, self._moved_at = (came, done, settled), clock.monotonic()
        # what a flow leaves out has ended, and was never enqueued
        self._left = going_on + sum(one.ready + one.scheduled + one.running for one in queues)
        self._say(f"{done:>9,} of {came:,} ended, {len(self.deeds)} of {len(self._plan)} faults")

    def _stalled(self) -> bool:
        settings = self.stage.settings
        return clock.monotonic() - self._moved_at > settings.stall_s + settings.lease_s


def new_seed() -> int:
    """One that nobody has chosen."""
    return int.from_bytes(os.urandom(3), "big")
