"""Live views: what a namespace does right now, drawn again every second on a terminal."""

from __future__ import annotations

import select
import sys
import termios
import tty
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from threading import Event as Pause
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from coordq.clock import monotonic
from coordq.interfaces.rates_view import fleet_lines, worker_notes
from coordq.interfaces.show import (
    QUEUE_COLUMNS,
    TASK_COLUMNS,
    WORKER_COLUMNS,
    overview_line,
    queue_rows,
    task_rows,
    worker_rows,
)
from coordq.interfaces.table import grid
from coordq.interfaces.words import count

if TYPE_CHECKING:
    from coordq.client.client import Client
    from coordq.work.queue import Overview
    from coordq.work.task import Task

_BARS: Final = " ▁▂▃▄▅▆▇█"
_PLAIN_BARS: Final = " .:-=+*#%"
HISTORY: Final = 60
"""Ticks that the sparkline remembers."""
QUIT: Final = frozenset({"q", "Q", "\x03", "\x04"})
DEAD_SHOWN: Final = 5


class Board:
    """Fleet, queues, workers and the last dead letters of a namespace, and how many tasks end."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._rates: deque[float] = deque(maxlen=HISTORY)
        self._before: tuple[float, int] | None = None

    def draw(self, *, title: str = "") -> RenderableType:
        """Look, and draw what is seen."""
        seen = self._client.work.stats()
        fleet = self._client.fleet.status()
        dead = self._client.work.dead(limit=DEAD_SHOWN) if seen.dead else []
        self._note(seen)
        parts: list[RenderableType] = [
            Text(title or f"coordq {self._client.namespace}", style="bold"),
            *(Text(line.text, style=line.style) for line in fleet_lines(fleet)),
            Text(overview_line(seen)),
            self._speed(),
        ]
        if seen.queues:
            parts += [Text(), grid(QUEUE_COLUMNS, queue_rows(seen.queues))]
        if seen.workers:
            parts += [Text(), grid(WORKER_COLUMNS, worker_rows(seen.workers, worker_notes(fleet)))]
        if dead:
            parts += [
                Text(),
                Text("Last dead letters", style="bold"),
                grid(TASK_COLUMNS, task_rows(dead)),
            ]
        return Group(*parts)

    def _note(self, seen: Overview) -> None:
        now = monotonic()
        ended = sum(queue.succeeded + queue.failed + queue.cancelled for queue in seen.queues)
        if self._before is not None and now > self._before[0]:
            self._rates.append(max(0, ended - self._before[1]) / (now - self._before[0]))
        self._before = now, ended

    def _speed(self) -> Text:
        if not self._rates:
            return Text("ended: -", style="dim")
        bars = sparkline(
            self._rates, plain=(sys.stdout.encoding or "").lower() not in {"utf-8", "utf8"}
        )
        return Text(f"ended: {count(self._rates[-1])}/s ") + Text(bars, style="green")


def sparkline(numbers: Sequence[float], *, plain: bool = False) -> str:
    """Numbers as bars, the highest of them at full height."""
    bars, top = (_PLAIN_BARS if plain else _BARS), max(numbers, default=0)
    steps = len(bars) - 1
    return "".join(bars[ceil(number / top * steps) if top else 0] for number in numbers)


def console() -> Console:
    """Where live views are drawn."""
    return Console(highlight=False)


@contextmanager
def keys_pressed() -> Iterator[Callable[[float], str]]:
    """A function that waits for a key, so many seconds; "" when none was pressed or nobody can."""
    if not sys.stdin.isatty():
        pause = Pause()
        yield lambda seconds: "q" if pause.wait(seconds) else ""
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)

    def wait(seconds: float) -> str:
        ready, _, _ = select.select([descriptor], [], [], seconds)
        return sys.stdin.read(1) if ready else ""

    try:
        yield wait
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def watch(draw: Callable[[], RenderableType], *, every_s: float, screen: bool = True) -> None:
    """Draw again and again until q or Ctrl-C."""
    with (
        keys_pressed() as key,
        Live(draw(), console=console(), screen=screen, auto_refresh=False) as live,
    ):
        while key(every_s) not in QUIT:
            live.update(draw(), refresh=True)


def watch_tasks(look: Callable[[], list[Task]], *, every_s: float = 1.0) -> None:
    """A table of tasks, again and again; once when nobody is watching."""
    from coordq.interfaces.table import on_terminal, show_table

    if not on_terminal():
        show_table(TASK_COLUMNS, task_rows(look()))
        return
    watch(lambda: grid(TASK_COLUMNS, task_rows(look())), every_s=every_s)
