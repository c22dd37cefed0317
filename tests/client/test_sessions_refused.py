"""Mistakes in sessions are refused early, in words that say what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from coordq.client.client import Client
from coordq.client.sessions import Session
from coordq.errors import (
    AgentNotFound,
    CoordqError,
    InvalidTopic,
    NotParticipant,
    SessionFull,
    SessionNotFound,
)
from coordq.ids import new_id
from tests.client.talk import NAMES, begin, three_mailboxes

pytestmark = pytest.mark.live


@pytest.fixture
def client(redis_url: str, namespace: str) -> Iterator[Client]:
    """A client of the namespace of this test, in which three agents have a mailbox."""
    with three_mailboxes(redis_url, namespace) as client:
        yield client


Talk = dict[str, Session]
Mistake = Callable[[Client, Talk], object]
BAD: dict[str, tuple[Mistake, type[CoordqError]]] = {
    "nobody of that name": (
        lambda c, _t: c.sessions.open("a", participants=["nobody"]),
        AgentNotFound,
    ),
    "too many": (lambda c, _t: c.sessions.open("a", participants=NAMES, max_people=2), SessionFull),
    "one more": (lambda c, t: c.sessions.get(t["ada"].id, me="dan").join(), SessionFull),
    "a name that is none": (lambda c, _t: c.sessions.open("a", participants=["a b"]), CoordqError),
    "a role that is none": (
        lambda c, _t: c.sessions.open("a", participants={"ada": "a b"}),
        CoordqError,
    ),
    "names as text": (lambda c, _t: c.sessions.open("a", participants="ada"), CoordqError),
    "an order that is none": (lambda c, _t: c.sessions.open("a", order="chaos"), CoordqError),
    "no turns": (lambda c, _t: c.sessions.open("a", turns=0), CoordqError),
    "too many turns": (lambda c, _t: c.sessions.open("a", turns=10**9), CoordqError),
    "a negative time": (lambda c, _t: c.sessions.open("a", idle=-1), CoordqError),
    "an id that is none": (lambda c, _t: c.sessions.get("x"), SessionNotFound),
    "a session that is not there": (
        lambda c, _t: c.sessions.get(new_id(0), me="ada").say("?"),
        SessionNotFound,
    ),
    "a stranger": (lambda c, t: c.sessions.get(t["ada"].id, me="dan").say("?"), NotParticipant),
    "nobody speaks": (lambda c, t: c.sessions.get(t["ada"].id).say("?"), CoordqError),
    "to a stranger": (lambda _c, t: t["ada"].say("?", to=["dan"]), NotParticipant),
    "a kind of ours": (lambda _c, t: t["ada"].say("?", kind="closed"), CoordqError),
    "more turns": (lambda _c, t: [t["ada"].say(n) for n in range(3)], SessionFull),
    "more bytes": (lambda _c, t: t["ada"].say("x" * 3_000), SessionFull),
    "no JSON": (lambda _c, t: t["ada"].say({1, 2}), CoordqError),
    "published instead": (lambda c, t: c.bus.publish("~" + t["ada"].id, "?"), InvalidTopic),
    "no offer": (lambda _c, t: t["bob"].accept(t["ada"].say("?").turn), CoordqError),
    "one's own offer": (lambda _c, t: t["ada"].accept(t["ada"].offer(7).turn), CoordqError),
    "a turn that is none": (lambda _c, t: t["bob"].accept(0), CoordqError),
    "who leaves takes no part": (
        lambda c, t: c.sessions.get(t["ada"].id, me="dan").leave(),
        NotParticipant,
    ),
}


@pytest.mark.parametrize("how", BAD)
def test_mistakes_get_an_error_with_a_code(client: Client, how: str) -> None:
    """Early, and in words that say what to do."""
    mistake, kind = BAD[how]
    talk = begin(client, turns=2, max_people=3, max_bytes=2_000)

    with pytest.raises(kind) as caught:
        mistake(client, talk)

    assert caught.value.code != "error"
    assert len(str(caught.value)) > 20
