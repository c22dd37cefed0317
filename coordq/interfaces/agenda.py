"""What schedules look like: as rows, and as named values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from coordq.interfaces.show import state_cell
from coordq.interfaces.table import Cell, Column, Row
from coordq.interfaces.words import count, moment, one_line, span, to_json

if TYPE_CHECKING:
    from coordq.work.agenda import ScheduleView
    from coordq.work.schedule import Schedule

SCHEDULE_COLUMNS: Final = (
    Column("Schedule"),
    Column("Task", spare=4),
    Column("When", elastic=True),
    Column("Next", spare=1),
    Column("Last", spare=2),
    Column("Runs", right=True, spare=5),
    Column("Skipped", right=True, spare=6),
    Column("State", spare=3),
)
RUN_COLUMNS: Final = (
    Column("ID"),
    Column("Slot"),
    Column("Enqueued", spare=1),
    Column("State"),
)
_NOUGHT: Final = re.compile(r"(?<=\d[mhd])00[smh]$|\.0(?=s$)")
"""What nobody says of 5m00s or 30.0s."""
_STYLES: Final = {"paused": "yellow", "unreadable": "bold red", "over": "dim"}


def when(schedule: Schedule) -> str:
    """When it fires, in words: every 5m; At 09:00 on Monday through Friday, Europe/Berlin."""
    if schedule.every_ms:
        return f"every {_NOUGHT.sub('', span(schedule.every_ms))}"
    if not schedule.cron:
        return "?"
    from cronsim import CronSim

    words = CronSim(schedule.cron, datetime(2000, 1, 1)).explain()  # noqa: DTZ001 - words only
    return f"{words}, {schedule.tz}"


def schedule_rows(views: Iterable[ScheduleView]) -> list[Row]:
    """One row a schedule."""
    return [
        (
            view.name,
            view.schedule.task,
            when(view.schedule),
            _slot(view, view.next_ms),
            _slot(view, view.last_ms),
            count(view.fired),
            count(view.skipped + view.missed_slots),
            Cell(view.state, _STYLES.get(view.state, "")),
        )
        for view in views
    ]


def _slot(view: ScheduleView, slot_ms: int | None) -> str:
    return "-" if slot_ms is None else view.schedule.moment(slot_ms).isoformat(" ", "seconds")


def schedule_facts(view: ScheduleView, coming: Sequence[datetime]) -> list[tuple[str, str | Cell]]:
    """Everything about a schedule but its runs."""
    made = view.schedule
    facts: list[tuple[str, str | Cell]] = [
        ("schedule", view.name),
        ("state", Cell(view.state, _STYLES.get(view.state, ""))),
        ("task", made.task),
        ("args", one_line(to_json(made.args))),
        ("when", when(made)),
        ("overlap", made.overlap),
        ("missed", made.missed),
        ("runs", count(view.fired)),
        ("skipped", count(view.skipped)),
        ("missed slots", count(view.missed_slots)),
        ("added", moment(view.added_ms)),
    ]
    optional = {
        "cron": made.cron,
        "options": one_line(to_json(made.options)) if made.options else "",
        "start": _slot(view, made.start_ms).removeprefix("-"),
        "end": _slot(view, made.end_ms).removeprefix("-"),
        "jitter": span(made.jitter_ms) if made.jitter_ms else "",
        "last": _slot(view, view.last_ms).removeprefix("-"),
        "last left out": one_line(view.note),
    }
    facts += [(name, text) for name, text in optional.items() if text]
    label = "would be next" if view.paused else "next"
    return facts + [(label, one.isoformat(" ", "seconds")) for one in coming]


def run_rows(view: ScheduleView) -> list[Row]:
    """One row for each of the last runs."""
    return [
        (
            run.id,
            _slot(view, run.slot_ms) if run.slot_ms else "by hand",
            moment(run.at_ms),
            state_cell(run.state.value if run.state else "gone"),
        )
        for run in view.runs
    ]
