"""What the leader says: events under its epoch, and reports that go out of date."""

from __future__ import annotations

from coordq.fleet.report import publish, read_reports
from coordq.fleet.tell import tell
from coordq.work.events import Event
from tests.work.desk import Desk


def test_events_carry_the_epoch_in_the_place_of_the_fence(desk: Desk) -> None:
    """A reader of history sees who was in office when that was said."""
    desk.run(tell(0, 17, [("suspect", "w1", "silent for 5.2 s"), ("dead", "w2", "")]))

    said = [(each.kind, each.subject, each.detail, each.fence) for each in desk.events()]
    assert said == [("suspect", "w1", "silent for 5.2 s", 17), ("dead", "w2", "", 17)]


def test_who_does_not_lead_may_tell_as_well(desk: Desk) -> None:
    """A fleet spawner: its events carry no epoch, and need none."""
    desk.redis("SET", desk.key("epoch"), 9)

    desk.run(tell(0, None, [("started", "web", "2 workers")]))

    assert [(each.kind, each.fence) for each in desk.events()] == [("started", 0)]


def test_whatever_is_told_can_be_read_again(desk: Desk) -> None:
    """Subjects are words, details lines: what is not is made so."""
    names = ["host.example-1", "x" * 60, "x" * 60 + "y", "a b,c", "x" * 60, ""]

    desk.run(tell(0, 1, [("joined", name, f"about\n{name}") for name in names]))

    def of(event: Event) -> tuple[str, str]:
        return event.subject, event.detail

    assert [of(event) for event in desk.events()] == [
        ("host.example-1", "about host.example-1"),
        ("x" * 60, "about " + "x" * 60),
        ("x" * 60 + "y", "about " + "x" * 60 + "y"),
        ("a-b-c", "about a b,c"),
        ("x" * 60, "about " + "x" * 60),
        ("-", "about"),
    ]


def test_a_foreign_key_in_place_of_the_stream_loses_events_and_no_more(desk: Desk) -> None:
    """The leader has other things to do."""
    desk.redis("SET", desk.key("events"), "junk")

    desk.run(tell(0, 1, [("joined", "w1", "")]))

    assert desk.redis("GET", desk.key("events")) == b"junk"


def test_reports_are_read_until_they_are_out_of_date(desk: Desk) -> None:
    """What a leader that is gone saw last must not be taken for how things are."""
    desk.run(publish(1, "rates", {"done": 3}, 60_000))
    desk.run(publish(1, "fleet", {"known": 2}, 60_000))
    desk.redis("PEXPIRE", desk.key("report:fleet"), 0)

    assert desk.run(read_reports()) == {"rates": {"done": 3}}
    assert desk.run(read_reports("fleet")) == {}
