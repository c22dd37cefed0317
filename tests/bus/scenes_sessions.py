"""One scene for each script of sessions: a call, and what must be true once it had one effect."""

from __future__ import annotations

from typing import Any

from coordq.bus import session as talk
from coordq.bus.envelope import parcel
from coordq.bus.session import Rules
from coordq.bus.session_view import Turn
from coordq.engine.call import Call
from coordq.ids import new_id
from tests.bus.office import Office, nonce
from tests.bus.scenes import Check, scene


def opened(office: Office) -> str:
    """A session of two."""
    for name in ("ada", "bob"):
        office.group(f"@{name}")
    session_id = new_id(office.shard)
    people = [("ada", ""), ("bob", "critic")]
    office.run(talk.open_session(session_id, "ada", b'"plan"', Rules(), people))
    return session_id


def turns(office: Office, session_id: str) -> list[Any]:
    """Bodies of all turns."""
    found: list[Turn] = office.run(talk.look(session_id, limit=100))[1]
    return [turn.body for turn in found]


@scene
def open_one(office: Office) -> tuple[Call[Any], Check]:
    """One session, with those who take part."""
    office.group("@ada")
    session_id = new_id(office.shard)

    def check(_: Any) -> None:
        view = office.run(talk.ls(office.shard, "ada"))[0]
        assert (view.id, view.present) == (session_id, 1)

    return talk.open_session(session_id, "", b"null", Rules(), [("ada", "")]), check


@scene
def say_something(office: Office) -> tuple[Call[Any], Check]:
    """One turn, and its number."""
    session_id = opened(office)
    said = parcel(f"~{session_id}", "hello", sender="ada")

    def check(answer: Any) -> None:
        assert (answer.turn, answer.id) == (1, said.id)
        assert turns(office, session_id) == ["hello"]
        assert office.bodies("@bob") == ["hello"]

    return talk.say(session_id, "ada", said, nonce=nonce()), check


@scene
def come_in(office: Office) -> tuple[Call[Any], Check]:
    """One place, and one word of it."""
    session_id = opened(office)
    office.group("@eve")

    def check(_: Any) -> None:
        assert turns(office, session_id) == [{"name": "eve", "role": ""}]

    return talk.enter(session_id, "j", "eve"), check


@scene
def leave(office: Office) -> tuple[Call[Any], Check]:
    """It is said once."""
    session_id = opened(office)

    def check(_: Any) -> None:
        assert turns(office, session_id) == [{"name": "bob"}]

    return talk.enter(session_id, "l", "bob"), check


@scene
def close_it(office: Office) -> tuple[Call[Any], Check]:
    """It is closed once."""
    session_id = opened(office)

    def check(_: Any) -> None:
        assert turns(office, session_id) == [{"why": "done"}]

    return talk.close(session_id, "done"), check


@scene
def look_at_it(office: Office) -> tuple[Call[Any], Check]:
    """It changes nothing."""
    session_id = opened(office)

    def check(answer: Any) -> None:
        assert answer[0].joined == ("ada", "bob")

    return talk.look(session_id), check


@scene
def list_sessions(office: Office) -> tuple[Call[Any], Check]:
    """It changes nothing."""
    session_id = opened(office)

    def check(answer: Any) -> None:
        assert [(view.id, view.present) for view in answer] == [(session_id, 2)]

    return talk.ls(office.shard), check


@scene
def tend_them(office: Office) -> tuple[Call[Any], Check]:
    """A session whose time is over is closed, and not gone at once because it was asked twice."""
    session_id = opened(office)
    office.redis("ZADD", f"{office.root}bus:sessions:due", "1", session_id)

    def check(_: Any) -> None:
        assert office.run(talk.look(session_id))[0].why == "idle"

    return talk.tend(office.shard), check
