"""Scenes for what is known of the fleet's members: workers, spawners, and what operators say."""

from __future__ import annotations

from typing import Any

from coordq.engine.call import Call
from coordq.fleet import readonly as modes
from coordq.fleet import roster, spawners, status
from coordq.fleet.roster import Entry, Health, Member
from tests.fleet.scenes import scene
from tests.work.desk import Desk
from tests.work.scenes import Check


def member(heard_ms: int, name: str = "w1") -> Member:
    """A worker as the leader knows it."""
    return Member(
        name,
        zone="z",
        health=Health.HEALTHY,
        since_ms=1,
        heard_ms=heard_ms,
        joined_ms=1,
        beat_ms=2000,
        lease_ms=10_000,
        incarnation=1,
        lost=0,
        protocol=2,
    )


def beat(desk: Desk) -> int:
    """A worker beats; when."""
    desk.beat(worker="w1")
    return int(float(desk.redis("ZSCORE", desk.key("workers"), "w1")))


def workers(desk: Desk) -> list[bytes]:
    """Who is thought to live."""
    found: list[bytes] = desk.redis("ZRANGE", desk.key("workers"), 0, -1)
    return found


@scene
def observe(desk: Desk) -> tuple[Call[Any], Check]:
    """Looking again is no effect."""
    heard_ms = beat(desk)

    def check(sight: Any) -> None:
        assert sight.beats == {"w1": heard_ms}

    return roster.observe(7, seen_ms=5), check


@scene
def enroll(desk: Desk) -> tuple[Call[Any], Check]:
    """Dead once; the repetition says so too."""
    known = member(beat(desk))
    desk.run(roster.enroll(7, [Entry("add", known)]))

    def check(answers: Any) -> None:
        assert answers == {"w1": "ok"}
        assert workers(desk) == []

    return roster.enroll(7, [Entry("dead", known)], memory="{}"), check


@scene
def disown(desk: Desk) -> tuple[Call[Any], Check]:
    """Forgotten is forgotten."""
    heard_ms = beat(desk)

    def check(_: Any) -> None:
        assert workers(desk) == []

    return roster.disown(0, 7, {"w1": heard_ms}), check


@scene
def forget(desk: Desk) -> tuple[Call[Any], Check]:
    """Nothing is left to be forgotten twice."""
    beat(desk)

    def check(_: Any) -> None:
        assert workers(desk) == []

    return roster.forget(0, "w1", 0), check


@scene
def policy(desk: Desk) -> tuple[Call[Any], Check]:
    """The operator's word, once more."""

    def check(_: Any) -> None:
        assert desk.redis("HGETALL", desk.key("policy")) == [b"expect", b"5"]

    return roster.set_policy("expect", 5), check


@scene
def readonly(desk: Desk) -> tuple[Call[Any], Check]:
    """Stopped, by whom and since when it was first said."""

    def check(_: Any) -> None:
        mode = modes.read_mode(desk.redis("GET", desk.key("readonly")))
        assert mode is not None
        assert (mode.who, mode.reason) == ("ann", "a move")

    return modes.stop(0, who="ann", reason="a move"), check


@scene
def resume(desk: Desk) -> tuple[Call[Any], Check]:
    """Going on twice is going on."""
    desk.run(modes.stop(0, who="ann", reason="a move"))

    def check(_: Any) -> None:
        assert desk.redis("EXISTS", desk.key("readonly")) == 0

    return modes.resume(0), check


@scene
def look(desk: Desk) -> tuple[Call[Any], Check]:
    """Looking again is no effect."""
    heard_ms = beat(desk)

    def check(view: Any) -> None:
        assert view.beats == {"w1": heard_ms}

    return status.look(), check


@scene
def enlist(desk: Desk) -> tuple[Call[Any], Check]:
    """The name is the caller's own: it is not kept out by itself."""
    info = {"instance": "i1"}

    def check(other: Any) -> None:
        assert other is None
        assert desk.run(spawners.enlisted()) == [info]

    return spawners.enlist("shop", info, instance="i1"), check


@scene
def enlisted(_: Desk) -> tuple[Call[Any], Check]:
    """Looking again is no effect."""

    def check(fleets: Any) -> None:
        assert fleets == []

    return spawners.enlisted(), check


@scene
def delist(desk: Desk) -> tuple[Call[Any], Check]:
    """Free is free; whoever took the name meanwhile keeps it."""
    desk.run(spawners.enlist("shop", {"instance": "i1"}, instance="i1"))

    def check(_: Any) -> None:
        assert desk.run(spawners.enlisted()) == []

    return spawners.delist("shop", instance="i1"), check


@scene
def answer(desk: Desk) -> tuple[Call[Any], Check]:
    """It may come twice: who waits takes the same progress twice, and the end of it once."""

    def check(_: Any) -> None:
        key = desk.key(f"inbox:{spawners.answers_of('o1')}")
        assert set(desk.redis("LRANGE", key, 0, -1)) == {b'{"say":"done"}'}

    return spawners.answer("o1", {"say": "done"}), check


@scene
def order(desk: Desk) -> tuple[Call[Any], Check]:
    """It may come twice; it carries an id, by which the spawner knows it as one."""
    desk.run(spawners.enlist("shop", {"instance": "i1"}, instance="i1"))

    def check(heard: Any) -> None:
        assert heard
        inbox = desk.key(f"inbox:{spawners.inbox_of('shop')}")
        assert set(desk.redis("LRANGE", inbox, 0, -1)) == {b'{"id":"o1","do":"down"}'}

    return spawners.order("shop", {"id": "o1", "do": "down"}), check
