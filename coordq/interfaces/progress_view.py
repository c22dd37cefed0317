"""How flows and tasks get on: bars on a terminal, lines anywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from coordq.clock import now_ms
from coordq.interfaces.flow_view import account
from coordq.interfaces.show import progress_line, state_cell
from coordq.interfaces.words import count, moment, one_line, printable, span
from coordq.work.progress import read_progress

if TYPE_CHECKING:
    from rich.console import RenderableType

    from coordq.work.flow.outlook import Busy, Outlook
    from coordq.work.task import Task

BUSY_SHOWN: Final = 12
"""Tasks of a flow that run, or wait for an answer, which are shown; the others are counted."""
BAR_CELLS: Final = 24
_STYLES: Final = {"reached": "green", "on-time": "green", "late": "yellow", "missed": "red"}


@dataclass(frozen=True, slots=True)
class Bar:
    """One line: what it is about, how far it is, and what there is to say."""

    name: str
    fraction: float | None = None
    """From 0 to 1; None: no bar, only words."""
    note: str = ""
    depth: int = 0
    style: str = ""

    def text(self) -> str:
        """Without a terminal: `audit  57 %  4 of 7 have ended`."""
        share = "" if self.fraction is None else f"{100 * self.fraction:3.0f} %"
        parts = ("  " * self.depth + self.name, share, self.note)
        return printable("  ".join(part for part in parts if part))


def flow_bars(seen: Outlook) -> list[Bar]:
    """A flow, what runs of it, its milestones, and what holds it up."""
    flow = seen.flow
    bars = [
        Bar(
            f"{flow.name} {flow.id}",
            flow.fraction,
            _flow_note(seen),
            style=str(state_cell(flow.state).style),
        )
    ]
    bars += [_busy_bar(one) for one in seen.busy[:BUSY_SHOWN]]
    if len(seen.busy) > BUSY_SHOWN:
        bars.append(Bar(f"and {count(len(seen.busy) - BUSY_SHOWN)} more", depth=1, style="dim"))
    for one in seen.milestones:
        by = f" by {moment(one.by_ms)}" if one.by_ms else ""
        blocked = f": {', '.join(one.blockers[:3])}" if one.standing in ("late", "missed") else ""
        note = f"{one.done} of {len(one.needs)}{by}, {one.standing}{one_line(blocked)}"
        bars.append(
            Bar(
                f"milestone {one_line(one.name)}",
                one.done / len(one.needs) if one.needs else 1.0,
                note,
                depth=1,
                style=_STYLES.get(one.standing, ""),
            )
        )
    if not flow.ended and (held := seen.forecast.bottlenecks):
        named = ", ".join(f"{one.name} ({span(one.holds_ms)})" for one in held[:3])
        bars.append(Bar("held up by", None, named, depth=1, style="dim"))
    return bars


def _flow_note(seen: Outlook) -> str:
    parts = [account(seen.flow)]
    if seen.flow.ended:
        parts.append(f"{seen.flow.state} after {span(seen.flow.ended_ms - seen.flow.started_ms)}")
        return ", ".join(parts)
    if seen.per_s is not None:
        parts.append(_rate(seen.per_s))
    if seen.forecast.waits:
        parts.append(f"waits for {', '.join(seen.forecast.waits[:3])}")
    elif seen.left_s is not None:
        parts.append(f"about {span(seen.left_s * 1000)} left")
    return ", ".join(parts)


def _rate(per_s: float) -> str:
    return f"{per_s:.1f}/s" if per_s >= 1 else f"{per_s * 60:.1f}/min"


def _busy_bar(one: Busy) -> Bar:
    fraction = one.progress.fraction if one.progress else None
    words = progress_line(one.progress.to_json()) if one.progress else one.node.state
    if one.left_s is not None and (one.progress is None or one.progress.remaining_s is None):
        words = f"{words}, about {span(one.left_s * 1000)} left"
    if one.node.kind == "approval":
        words = f"coordq approve {one.node.id}"
    return Bar(one_line(one.node.key), fraction, words, depth=1)


def task_bars(tasks: Iterable[Task]) -> list[Bar]:
    """Running tasks, or those that were asked for."""
    bars = []
    for task in tasks:
        said = read_progress(task.progress)
        fraction = said.fraction if said else None
        words = progress_line(task.progress) or task.state.value
        left_s = said.left_s((now_ms() - task.since_ms) / 1000) if said else None
        if left_s is not None and said and said.remaining_s is None and not task.state.ended:
            words = f"{words}, about {span(left_s * 1000)} left"
        name = f"{task.name} {task.id}"
        bars.append(Bar(name, fraction, words, style=str(state_cell(task.state.value).style)))
    return bars


def draw(bars: Sequence[Bar], *, empty: str) -> RenderableType:
    """Bars for a terminal."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    if not bars:
        return Text(empty, style="dim")
    drawn = Table.grid(padding=(0, 2))
    drawn.add_column(no_wrap=True)
    drawn.add_column(width=BAR_CELLS)
    drawn.add_column(justify="right", no_wrap=True)
    drawn.add_column(overflow="fold")
    for bar in bars:
        fraction = bar.fraction
        drawn.add_row(
            Text(printable("  " * bar.depth + bar.name), style=bar.style if bar.depth == 0 else ""),
            "" if fraction is None else ProgressBar(total=1.0, completed=fraction, width=BAR_CELLS),
            "" if fraction is None else f"{100 * fraction:.0f} %",
            Text(printable(bar.note), style=bar.style if bar.depth else ""),
        )
    return drawn
