"""A group that one reader reads alone: who it is, and what it is told of what comes still."""

from __future__ import annotations

import pytest

from coordq.bus.alone import LATER, NOTHING, UNREAD, Alone, alone
from coordq.engine import bus_keys
from tests.bus.office import Office

pytestmark = pytest.mark.live


def coming(office: Office, channel: str = "t.x", reader: str = "r1") -> int:
    """What a reader is told of a channel."""
    told: Alone = office.run(alone(0, "g", reader, channels=[channel]))
    assert told.other == ""
    return told.coming[channel]


def test_a_group_is_read_alone_by_one_until_its_lease_is_over(office: Office) -> None:
    """A reader that crashed is believed for so long, and one that closes no longer."""
    assert office.run(alone(0, "g", "r1")).other == ""
    assert office.run(alone(0, "g", "r1")).other == ""
    assert office.run(alone(0, "g", "r2", channels=["t.x"])) == Alone("r1", {})
    assert office.run(alone(0, "g", "r2", lease_s=0)).other == "r1"
    assert office.run(alone(0, "h", "r2")).other == ""
    assert 0 < office.redis("PTTL", bus_keys.alone(office.root, "g")) <= 30_000

    office.run(alone(0, "g", "r1", lease_s=0))

    assert office.run(alone(0, "g", "r2")).other == ""


@pytest.mark.parametrize("priority", ["critical", "normal", "low"])
def test_what_was_never_given_is_still_to_come(office: Office, priority: str) -> None:
    """In whichever lane it lies; of another channel there is nothing."""
    office.group("g", "t.**")
    office.post("t.x", 1, priority=priority)

    assert (coming(office), coming(office, "t"), coming(office, "t.x.y")) == (UNREAD, NOTHING, 0)


def test_what_this_reader_holds_is_not_to_come(office: Office) -> None:
    """It is with it already: as long as it is held, and when it is acknowledged."""
    office.group("g", "t.*")
    office.post("t.x", 1)
    given = office.take("g").given
    assert coming(office) == NOTHING

    office.ack(*given)

    assert coming(office) == NOTHING


def test_what_another_reader_holds_comes_later(office: Office) -> None:
    """When that one gives it back, or dies."""
    office.group("g", "t.*")
    office.post("t.x", 1)
    office.take("g", reader="r2")

    assert coming(office) == LATER


def test_what_was_given_back_or_has_lapsed_comes_later(office: Office) -> None:
    """Also to who gave it back."""
    office.group("g", "t.*")
    office.post("t.x", 1)
    office.settle("n", *office.take("g").given, delay_ms=5_000)
    assert coming(office) == LATER
    office.pass_time(6_000)
    office.take("g")
    assert coming(office) == NOTHING

    office.pass_time(31_000)

    assert coming(office) == LATER


def test_a_group_that_holds_very_much_is_not_searched_to_the_end(office: Office) -> None:
    """A call looks at a thousand messages; where there may be more it is on the safe side."""
    office.group("g", "t.*", visibility=3600)
    for _ in range(3):
        office.post("t.y", *range(400))
    for _ in range(3):
        office.take("g", want=500)

    assert coming(office) == LATER
    assert coming(office, "t.y") == LATER


def test_a_group_that_is_not_there_has_nothing(office: Office) -> None:
    """It is as good as empty."""
    assert coming(office) == NOTHING
