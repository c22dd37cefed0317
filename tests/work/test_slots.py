"""When schedules come due: intervals, cron, zones whose clocks change, and what was missed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest

from coordq.work import slots
from coordq.work.schedule import Schedule, make
from coordq.work.slots import MISSED_MAX, Overdue

HOUR_MS = 3_600_000
CHANGES = [
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),  # half an hour
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Africa/Cairo", date(2026, 4, 24)),  # at midnight
    ("Africa/Cairo", date(2026, 10, 30)),
    ("Pacific/Apia", date(2011, 12, 30)),  # a day that never was
    ("Asia/Kathmandu", date(2026, 5, 5)),  # no change, but 45 minutes off
]


def ms(text: str) -> int:
    """A moment with an offset, or in UTC."""
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def following(made: Schedule, after: str, amount: int) -> list[str]:
    """The slots after a moment, as its zone's clocks show them."""
    found = slots.slots_after(made, anchor_ms=0, after_ms=ms(after))
    return [made.words(slot) for slot in islice(found, amount)]


# -- clocks that change --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tz", "after", "expected"),
    [
        ("Europe/Berlin", "2026-03-28T12:00", "2026-03-29T03:00:00+02:00"),
        ("America/New_York", "2026-03-07T12:00", "2026-03-08T03:00:00-04:00"),
    ],
)
def test_a_time_that_the_clocks_leave_out_comes_at_the_end_of_the_gap(
    tz: str, after: str, expected: str
) -> None:
    """A nightly backup at 02:30 must not be left out once a year."""
    first, second, _ = following(make("s", "job", cron="30 2 * * *", tz=tz), after, 3)

    assert first == expected
    assert second[11:19] == "02:30:00", "and the next day as usual"


@pytest.mark.parametrize(
    ("tz", "after", "expected"),
    [
        ("Europe/Berlin", "2026-10-24T12:00", "2026-10-25T02:30:00+02:00"),
        ("America/New_York", "2026-10-31T12:00", "2026-11-01T01:30:00-04:00"),
    ],
)
def test_a_time_that_the_clocks_show_twice_comes_the_first_time_only(
    tz: str, after: str, expected: str
) -> None:
    """Salaries are not paid twice."""
    hour = expected[12]
    first, second = following(make("s", "job", cron=f"30 {hour} * * *", tz=tz), after, 2)

    assert first == expected
    assert second[:10] > first[:10]


def test_what_goes_by_the_clock_keeps_its_distance_over_the_change() -> None:
    """Every half hour is every half hour, whatever the clocks say."""
    made = make("s", "job", cron="*/30 * * * *", tz="Europe/Berlin")

    for after in ("2026-03-28T20:00", "2026-10-24T20:00"):
        found = list(islice(slots.slots_after(made, anchor_ms=0, after_ms=ms(after)), 20))
        assert {b - a for a, b in pairwise(found)} == {HOUR_MS // 2}


def test_what_is_named_by_hour_goes_with_the_clocks() -> None:
    """Every ten minutes between two and three: never in spring, for two hours in autumn."""
    made = make("s", "job", cron="*/10 2 * * *", tz="Europe/Berlin")

    assert following(made, "2026-03-28T12:00", 1) == ["2026-03-30T02:00:00+02:00"]
    assert [slot[11:] for slot in following(made, "2026-10-24T12:00", 12)] == [
        f"02:{minute}0:00+0{offset}:00" for offset in (2, 1) for minute in range(6)
    ]


@pytest.mark.parametrize(("tz", "day"), CHANGES, ids=str)
@pytest.mark.parametrize("hours", [(0,), (2,), (1, 2, 3), tuple(range(24))])
@pytest.mark.parametrize("minutes", [(30,), (0, 20, 40)])
def test_fixed_times_agree_with_a_walk_through_every_minute(
    tz: str, day: date, hours: tuple[int, ...], minutes: tuple[int, ...]
) -> None:
    """Once for each minute named: the first time it is shown, or at the end of its gap."""
    line = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"
    shown = list(clock(tz, day))
    expected: set[int | None] = set()
    for offset in range(-3, 4):
        for hour in hours:
            for minute in minutes:
                wall = datetime(day.year, day.month, day.day, hour, minute) + timedelta(offset)  # noqa: DTZ001
                expected.add(next((at for at, seen in shown if seen >= wall), None))

    assert set(found_between(line, tz, shown)) == expected & {at for at, _ in shown[1:]}


@pytest.mark.parametrize(("tz", "day"), CHANGES, ids=str)
@pytest.mark.parametrize("line", ["*/15 * * * *", "*/15 2 * * *", "*/10 0,1,3 * * *", "7 * * * *"])
def test_shown_times_agree_with_a_walk_through_every_minute(tz: str, day: date, line: str) -> None:
    """Whenever a clock in the zone shows it."""
    minute, hour, *_ = line.split()
    step = int(minute[2:]) if "/" in minute else 0
    hours = set(range(24)) if hour == "*" else {int(one) for one in hour.split(",")}
    shown = list(clock(tz, day))
    expected = [
        at
        for at, wall in shown[1:]
        if wall.hour in hours and (wall.minute % step == 0 if step else wall.minute == int(minute))
    ]

    assert found_between(line, tz, shown) == expected


def clock(tz: str, day: date) -> Iterator[tuple[int, datetime]]:
    """Every minute around a day: when, in seconds, and what the clocks of the zone show."""
    where = ZoneInfo(tz)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=40)
    first = round(start.timestamp())
    for at in range(first, first + 88 * 3600, 60):
        yield at, datetime.fromtimestamp(at, where).replace(tzinfo=None)


def found_between(line: str, tz: str, shown: list[tuple[int, datetime]]) -> list[int]:
    """What we find in the same time, in seconds."""
    made = make("s", "job", cron=line, tz=tz)
    found = slots.slots_after(made, anchor_ms=0, after_ms=shown[0][0] * 1000)
    return [at // 1000 for at in takewhile(lambda at: at <= shown[-1][0] * 1000, found)]


@pytest.mark.parametrize("line", ["30 2 * * *", "*/20 * * * *", "0 0 1 * *"])
def test_slots_only_go_on(line: str) -> None:
    """Asked from anywhere, the next slot is later: a schedule can never stand still."""
    made = make("s", "job", cron=line, tz="America/New_York")

    for after in range(ms("2026-10-31T20:00"), ms("2026-11-01T12:00"), 7 * 60_000 + 123):
        found = slots.next_slot(made, anchor_ms=0, after_ms=after)
        assert found is not None
        assert found > after


# -- intervals -----------------------------------------------------------------------------------


def test_an_interval_counts_from_its_anchor() -> None:
    """A restart, or a leader that comes late, shifts nothing."""
    made = make("s", "job", every=90)

    for late in (0, 1, 5_000, 89_999):
        after = 1_000_000 + late
        assert slots.next_slot(made, anchor_ms=1_000_000, after_ms=after) == 1_090_000
    assert slots.next_slot(made, anchor_ms=1_000_000, after_ms=1_090_000) == 1_180_000


def test_an_interval_with_a_start_begins_there() -> None:
    """And not one interval later."""
    start = datetime(2026, 1, 1, 8, tzinfo=UTC)
    made = make("s", "job", every=3600, start=start, end=start + timedelta(hours=2))
    anchor = made.start_ms or 0

    found = list(slots.slots_after(made, anchor_ms=anchor, after_ms=0))

    assert [made.words(slot)[11:16] for slot in found] == ["08:00", "09:00"], "end is not a slot"


def test_a_start_without_a_zone_is_meant_in_the_schedules() -> None:
    """Whoever says 9 o'clock and Berlin means 9 o'clock in Berlin."""
    start = datetime(2026, 7, 1, 9)  # noqa: DTZ001 - that is the point
    made = make("s", "job", every=60, start=start, tz="Europe/Berlin")

    assert made.start_ms == ms("2026-07-01T09:00+02:00")


def test_cron_keeps_to_start_and_end() -> None:
    """Both in the same zone."""
    start, end = datetime(2026, 7, 1, 12), datetime(2026, 7, 4, 9)  # noqa: DTZ001
    made = make("s", "job", cron="0 9 * * *", tz="Europe/Berlin", start=start, end=end)

    found = list(slots.slots_after(made, anchor_ms=0, after_ms=0))

    assert [made.words(slot)[8:10] for slot in found] == ["02", "03"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0 9 * * mon-fri", "2026-01-01T09:00:00+00:00"),
        ("@weekly", "2026-01-04T00:00:00+00:00"),
        ("@DAILY", "2026-01-02T00:00:00+00:00"),
        ("  0   12 L * * ", "2026-01-31T12:00:00+00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00:00+00:00"),
        ("0 0 * * fri#2", "2026-01-09T00:00:00+00:00"),
        ("0 0 13 * fri", "2026-01-02T00:00:00+00:00"),
    ],
)
def test_cron_lines_mean_what_cron_means(line: str, expected: str) -> None:
    """Among them: a day of the month or of the week, whichever comes first, when both are said."""
    assert following(make("s", "job", cron=line), "2026-01-01T00:00", 1) == [expected]


# -- missed slots --------------------------------------------------------------------------------


def due(missed: str, *, late_s: float, every: float = 60) -> Overdue:
    """What is fired of an interval when the leader comes so much later than its slot at 0."""
    made = make("s", "job", every=every, missed=missed)
    return slots.overdue(made, anchor_ms=0, due_ms=0, now_ms=round(late_s * 1000))


@pytest.mark.parametrize("missed", ["skip", "one", "all"])
def test_what_is_in_time_is_fired_under_any_policy(missed: str) -> None:
    """A leader is always a little late; that is no missed run."""
    assert due(missed, late_s=0.4) == Overdue((0,), 0, 60_000)


@pytest.mark.parametrize("missed", ["skip", "one", "all"])
def test_a_change_of_leaders_costs_no_daily_run(missed: str) -> None:
    """Failover takes seconds: within a minute a slot is still in time."""
    assert due(missed, late_s=5, every=86_400).slots == (0,)


def test_skip_makes_up_for_nothing() -> None:
    """But the latest slot is fired when it is fresh."""
    assert due("skip", late_s=3 * 3600, every=86_400) == Overdue((), 1, 86_400_000)
    assert due("skip", late_s=3600 + 1) == Overdue((3_600_000,), 60, 3_660_000)


def test_one_makes_up_once() -> None:
    """For the latest, however late it is."""
    assert due("one", late_s=3 * 3600 + 120, every=3600) == Overdue((3 * HOUR_MS,), 3, 4 * HOUR_MS)


def test_all_makes_up_for_each_in_order() -> None:
    """Oldest first."""
    assert due("all", late_s=185) == Overdue((0, 60_000, 120_000, 180_000), 0, 240_000)


@pytest.mark.parametrize(("missed", "fired"), [("all", MISSED_MAX), ("one", 1), ("skip", 1)])
def test_an_outage_of_months_is_bounded(missed: str, fired: int) -> None:
    """A minute's schedule, half a year: the latest thousand are looked at."""
    now = ms("2026-09-01T00:00:30")
    made = make("s", "job", cron="* * * * *", tz="Europe/Berlin", missed=missed)

    found = slots.overdue(made, anchor_ms=0, due_ms=ms("2026-03-01T00:00"), now_ms=now)

    assert len(found.slots) == fired
    assert found.slots[-1] == now - 30_000
    assert len(found.slots) + found.passed == MISSED_MAX
    assert found.next_ms == now + 30_000


def test_a_rare_schedule_is_caught_up_over_years() -> None:
    """The search reaches as far back as the first missed slot."""
    made = make("s", "job", cron="0 0 1 1 *", missed="all")
    first, now = ms("2020-01-01T00:00"), ms("2026-06-01T00:00")

    found = slots.overdue(made, anchor_ms=0, due_ms=first, now_ms=now)

    assert [made.words(slot)[:4] for slot in found.slots] == [str(y) for y in range(2020, 2027)]


def test_after_the_end_nothing_comes() -> None:
    """What was due before the end is still fired."""
    made = make("s", "job", every=60, start=0.0, end=150.0, missed="all")

    assert slots.overdue(made, anchor_ms=0, due_ms=60_000, now_ms=10_000_000) == Overdue(
        (60_000, 120_000), 0, None
    )
