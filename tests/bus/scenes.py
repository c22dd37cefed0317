"""One scene for each script of the bus: a call, and what must be true once it had one effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coordq.bus import bounds, dead, look
from coordq.bus import group as groups
from coordq.bus.envelope import Message, parcel
from coordq.bus.publish import ONCE, publish
from coordq.bus.reply import reply
from coordq.bus.sweep import sweep
from coordq.bus.take import gather, hold, take
from coordq.engine import bus_keys
from coordq.engine.call import Call
from tests.bus.office import Office, made, nonce

Check = Callable[[Any], None]
Scene = Callable[[Office], tuple[Call[Any], Check]]
SCENES: dict[str, Scene] = {}


def scene(scene: Scene) -> Scene:
    """A call whose reply gets lost, and what must be true afterwards."""
    SCENES[scene.__name__] = scene
    return scene


@scene
def publish_some(office: Office) -> tuple[Call[Any], Check]:
    """Two messages, not four; and the answer of the first time."""
    office.group("g", "t.*")
    parcels = [parcel("t.x", 1), parcel("t.y", 2), parcel("@nobody", 3), parcel("u", 4)]

    def check(posted: Any) -> None:
        assert [(each.receivers, each.unknown) for each in posted] == [
            (1, False),
            (1, False),
            (0, True),
            (0, False),
        ]
        assert sorted(office.bodies("g")) == [1, 2]

    return publish(0, parcels, nonce=nonce()), check


@scene
def publish_once(office: Office) -> tuple[Call[Any], Check]:
    """One message that says which it is; it may come in another call, too."""
    office.group("g", "t.*")
    one = parcel("t.x", 1)

    def check(posted: Any) -> None:
        assert [each.receivers for each in posted] == [1]
        assert office.run(publish(0, [one], nonce=ONCE + one.id)) == posted
        assert office.bodies("g") == [1]

    return publish(0, [one], nonce=ONCE + one.id), check


@scene
def publish_to_the_brim(office: Office) -> tuple[Call[Any], Check]:
    """What filled the channel is not refused for that."""
    office.bound("t.x", 2)
    office.group("g", "t.*")

    def check(posted: Any) -> None:
        assert [each.full for each in posted] == [False, False, True]
        assert office.entries("t.x") == 2

    parcels = [parcel("t.x", n) for n in range(3)]
    return publish(0, parcels, mode="refuse", nonce=nonce()), check


@scene
def publish_shedding(office: Office) -> tuple[Call[Any], Check]:
    """One low message makes room, not two."""
    office.bound("t.x", 3)
    office.group("g", "t.*")
    office.post("t.x", 1, 2, priority="low")
    office.post("t.x", 3)

    def check(posted: Any) -> None:
        assert [each.full for each in posted] == [False]
        assert [letter.message().body for letter in office.dead()] == [1]
        assert sorted(office.bodies("g")) == [2, 3, 4]

    return publish(0, [parcel("t.x", 4)], mode="shed", nonce=nonce()), check


@scene
def take_some(office: Office) -> tuple[Call[Any], Check]:
    """The same messages, not others, and each at its first attempt."""
    office.group("g", "t.*")
    office.post("t.x", 1, 2, 3)

    def check(taken: Any) -> None:
        assert [(each.message().body, each.attempt) for each in taken.given] == [(1, 1), (2, 1)]
        assert office.bodies("g") == [3]

    return take(0, "r1", ["g"], want=2, nonce=nonce()), check


@scene
def take_again(office: Office) -> tuple[Call[Any], Check]:
    """A redelivery is counted once."""
    office.group("g", "t.*")
    office.post("t.x", 1)
    office.take("g")
    office.pass_time(31_000)

    def check(taken: Any) -> None:
        assert [each.attempt for each in taken.given] == [2]
        office.pass_time(31_000)
        assert [each.attempt for each in office.take("g").given] == [3]

    return take(0, "r2", ["g"], want=2, nonce=nonce()), check


@scene
def settle_and_take(office: Office) -> tuple[Call[Any], Check]:
    """Acknowledged, given back and buried once; what is given back at once may be what is taken."""
    office.group("g", "t.*")
    office.post("t.x", 1, 2, 3, 4)
    one, two, three = office.take("g", want=3).given

    def check(taken: Any) -> None:
        assert [(each.message().body, each.attempt) for each in taken.given] == [(2, 2)]
        figures = office.figures("g")
        assert (figures["handled"], figures["nacked"], figures["dead"]) == (1, 1, 1)
        assert office.bodies("g") == [4]

    settled = [
        *gather("a", [one]),
        *gather("n", [two], delay_ms=0),
        *gather("d", [three], reason="bad"),
    ]
    return take(0, "r1", ["g"], want=1, nonce=nonce(), settled=settled), check


@scene
def settle_only(office: Office) -> tuple[Call[Any], Check]:
    """Given back for a minute, not for two; a group that is there still waits for the other."""
    office.group("g", "t.*")
    office.group("h", "t.*")
    office.post("t.x", 1, 2)
    one, two = office.take("g").given

    def check(_: Any) -> None:
        office.pass_time(60_000)
        assert office.bodies("g") == [2]
        assert office.bodies("h") == [1, 2]

    settled = [*gather("a", [one]), *gather("n", [two], delay_ms=60_000)]
    return take(0, "r1", [], want=0, nonce=nonce(), settled=settled), check


@scene
def hold_on(office: Office) -> tuple[Call[Any], Check]:
    """Held for another visibility time."""
    office.group("g", "t.*")
    office.post("t.x", 1)
    given = office.take("g").given

    def check(held: Any) -> None:
        assert held == 1
        assert office.take("g", reader="r2").given == ()

    return hold(0, "r1", given), check


@scene
def subscribe(office: Office) -> tuple[Call[Any], Check]:
    """One group, and one change of bindings."""

    def check(done: Any) -> None:
        assert done is True
        assert int(office.redis("GET", bus_keys.version(office.root))) == 1

    return groups.subscribe(0, made("g", "t.*"), only_new=True), check


@scene
def unsubscribe(office: Office) -> tuple[Call[Any], Check]:
    """Gone, whatever the second answer says."""
    office.group("g", "t.*")

    def check(_: Any) -> None:
        assert office.view("g") is None
        assert [each.group for each in office.dropped()] == ["g"]

    return groups.unsubscribe(0, "g"), check


@scene
def sweep_page(office: Office) -> tuple[Call[Any], Check]:
    """What was let go is counted once."""
    office.group("g", "t.*")
    office.group("h", "t.*")
    office.post("t.x", 1, 2)
    office.run(groups.unsubscribe(0, "g"))

    def check(_: Any) -> None:
        assert office.entries("t.x") == 2
        told = office.redis("XRANGE", f"{office.root}events", "-", "+")
        assert [entry[1][1] for entry in told] == [b"bus-group-dropped - - unsubscribed 2\ng,1,0"]
        assert office.bodies("h") == [1, 2]

    return sweep(0, "c0"), check


@scene
def configure(office: Office) -> tuple[Call[Any], Check]:
    """Said twice is said once."""
    office.group("g", "t.*")

    def check(_: Any) -> None:
        office.post("t.x", 1)
        view = office.channel("t.x")
        assert view is not None
        assert (view.max_entries, view.max_bytes) == (7, 1000)

    return bounds.configure(0, "t.*", entries=7, max_bytes=1000), check


@scene
def channels(office: Office) -> tuple[Call[Any], Check]:
    """A look is a look."""
    office.group("g", "t.*")
    office.post("t.x", 1)

    def check(views: Any) -> None:
        assert [(view.name, view.normal, view.groups) for view in views] == [("t.x", 1, ("g",))]

    return look.channels(0), check


@scene
def look_at_bounds(office: Office) -> tuple[Call[Any], Check]:
    """A third."""
    office.bound("t.*", 7, 1000)

    def check(found: Any) -> None:
        assert found == [bounds.Bound("t.*", 7, 1000)]

    return bounds.bounds(0), check


@scene
def look_at_groups(office: Office) -> tuple[Call[Any], Check]:
    """Another."""
    office.group("g", "t.*")

    def check(found: Any) -> None:
        assert [view.name for view in found[1]] == ["g"]

    return look.groups(0), check


def _letter(office: Office) -> str:
    office.group("g", "t.*")
    office.post("t.x", 1)
    office.settle("d", *office.take("g").given, reason="bad")
    return office.dead()[0].id.partition("/")[2]


@scene
def dead_letters(office: Office) -> tuple[Call[Any], Check]:
    """And a third."""
    _letter(office)

    def check(letters: Any) -> None:
        assert [letter.reason for letter in letters] == ["bad"]

    return dead.dead(0), check


@scene
def revive(office: Office) -> tuple[Call[Any], Check]:
    """One message, not two."""
    entry = _letter(office)

    def check(revived: Any) -> None:
        assert revived == 1
        assert office.bodies("g") == [1]

    return dead.revive(0, [entry], nonce=nonce()), check


@scene
def purge(office: Office) -> tuple[Call[Any], Check]:
    """Gone, whatever the second answer says."""
    entry = _letter(office)

    def check(_: Any) -> None:
        assert office.dead() == []

    return dead.purge(0, [entry]), check


@scene
def answer(office: Office) -> tuple[Call[Any], Check]:
    """One reply."""
    asked = Message("ask", "t.x", None, reply_to="0:me")

    def check(_: Any) -> None:
        assert office.redis("XLEN", bus_keys.replies(office.root, "me")) == 1

    return reply(asked, {"a": 1}, sender="ada", nonce=nonce()), check
