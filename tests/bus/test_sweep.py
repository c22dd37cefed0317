"""Groups that end, readers that die, channels that are left: nothing is held for ever."""

from __future__ import annotations

import pytest

from coordq.bus.group import unsubscribe
from coordq.bus.sweep import Dropped
from coordq.engine import bus_keys
from coordq.work.events import read_entry
from tests.bus.office import Office

pytestmark = pytest.mark.live
MINUTE_MS = 60_000
DAY_MS = 86_400_000


def test_a_group_that_ends_lets_go_of_everything(office: Office) -> None:
    """What it held and what it had not read; the other group loses nothing."""
    office.group("g", "t.*")
    office.group("h", "t.*")
    office.post("t.x", *range(30))
    office.ack(*office.take("g", want=10).given)
    office.take("g", want=5)
    office.run(unsubscribe(0, "g"))

    assert office.dropped() == [Dropped("g", "unsubscribed", 20)]
    assert office.entries("t.x") == 30
    assert office.bodies("h") == list(range(30))


def test_a_big_backlog_is_let_go_page_by_page(office: Office) -> None:
    """No single call is long."""
    office.group("g", "t.*")
    for _ in range(3):
        office.post("t.x", *range(400))
    office.run(unsubscribe(0, "g"))

    pages = office.sweep()

    assert max(page.entries for page in pages) <= 200
    assert sum(page.entries for page in pages) == 1200
    assert office.channel("t.x") is None


def test_what_is_published_while_a_group_leaves_is_not_counted_for_it(office: Office) -> None:
    """Nor does it keep a channel alive that nobody else hears."""
    office.group("g", "t.*")
    office.post("t.x", 1)
    office.run(unsubscribe(0, "g"))

    assert office.post("t.x", 2)[0].receivers == 0
    office.group("h", "t.*")
    assert office.post("t.x", 3)[0].receivers == 1
    assert office.dropped() == [Dropped("g", "unsubscribed", 2)]
    assert office.bodies("h") == [3]


def test_a_group_that_comes_back_before_the_sweep_has_lost_nothing(office: Office) -> None:
    """It was merely away."""
    office.group("g", "t.*")
    office.post("t.x", 1)
    office.run(unsubscribe(0, "g"))
    office.group("g", "t.*")
    office.post("t.x", 2)

    assert office.dropped() == []
    assert office.bodies("g") == [1, 2]


def test_a_pattern_that_is_given_up_lets_go_of_its_topic(office: Office) -> None:
    """Others stay."""
    office.group("g", "a.*", "b.*")
    office.post("a.x", 1)
    office.post("b.x", 2)
    office.group("g", "b.*")
    office.sweep()

    assert office.channel("a.x") is None
    assert office.bodies("g") == [2]


def test_an_ephemeral_group_ends_a_minute_after_its_reader(office: Office) -> None:
    """Whoever crashed keeps nothing."""
    office.group("g", "t.*", ephemeral=True)
    office.post("t.x", 1)
    office.take("g")
    assert office.dropped() == []
    office.pass_time(2 * MINUTE_MS)

    assert office.dropped() == [Dropped("g", "ephemeral", 1)]


def test_a_dead_group_cannot_hold_a_channel_for_ever(office: Office) -> None:
    """After its time it is given up, an event says so, and publishers go on."""
    office.group("g", "t.*", abandon=3600)
    office.group("h", "t.*")
    office.bound("t.*", 2)
    office.post("t.x", 1, 2)
    office.ack(*office.take("h").given)
    assert office.post("t.x", 3)[0].full
    office.pass_time(7_200_000)

    assert office.dropped() == [Dropped("g", "abandoned", 2)]
    assert not office.post("t.x", 4)[0].full
    told = [
        (event.kind, event.subject, event.detail)
        for entry in office.redis("XRANGE", f"{office.root}events", "-", "+")
        for event in read_entry(0, entry)
    ]
    assert told == [("bus-group-dropped", "g", "abandoned 2")]


def test_a_group_that_nothing_waits_for_is_kept(office: Office) -> None:
    """However long its readers are away."""
    office.group("g", "t.*", abandon=3600)
    office.sweep()
    office.pass_time(30 * DAY_MS)

    assert office.dropped() == []
    assert office.post("t.x", 1)[0].receivers == 1


def test_a_group_with_a_live_reader_is_never_abandoned(office: Office) -> None:
    """A slow one is not dead."""
    office.group("g", "t.*", abandon=1)
    office.post("t.x", 1)
    for _ in range(3):
        office.take("g", want=0)
        office.sweep()
        office.pass_time(30_000)

    assert office.dropped() == []
    assert office.bodies("g") == [1]


def test_what_a_dead_reader_held_is_taken_over_before_its_name_goes(office: Office) -> None:
    """Redis drops what is pending with the name: so the name goes last."""
    office.group("g", "t.*", visibility=3600)
    office.post("t.x", 1)
    office.take("g", reader="lost")
    office.pass_time(2 * MINUTE_MS)
    office.take("g", reader="alive", want=0)

    struck = [page.consumers for page in office.sweep()]
    assert sum(struck) == 0
    assert [each.attempt for each in office.take("g", reader="alive").given] == [2]
    struck = [page.consumers for page in office.sweep()]

    assert sum(struck) == 1
    key = bus_keys.stream(office.root, "nt.x")
    names = {bytes(fields[1]) for fields in office.redis("XINFO", "CONSUMERS", key, "g")}
    assert names == {b"alive"}


def test_an_empty_channel_is_forgotten(office: Office) -> None:
    """With everything that was kept for it; it begins anew when it is used again."""
    office.group("g", "t.*")
    office.post("t.x", 1, priority="low")
    office.ack(*office.take("g").given)
    office.sweep()
    assert office.channel("t.x") is not None
    office.pass_time(700_000)

    office.sweep()

    assert [name for name in office.names() if name.endswith("t.x")] == []
    office.post("t.x", 2)
    assert office.bodies("g") == [2]


def test_a_lost_mark_and_a_lost_head_are_found(office: Office) -> None:
    """Hints may be lost; what was published is not."""
    office.group("g", "t.*")
    office.post("t.x", 1)
    office.redis("DEL", bus_keys.heads(office.root, "g"), bus_keys.marker(office.root, "g"))
    assert office.bodies("g") == []

    office.sweep()

    assert office.bodies("g") == [1]
