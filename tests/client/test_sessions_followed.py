"""A transcript that is read while people talk: each turn as it is said, until the last."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from coordq.client.client import Client
from coordq.client.client_async import connect_async
from coordq.errors import CoordqError, SessionNotFound
from coordq.ids import new_id
from tests.client.talk import begin, three_mailboxes

pytestmark = pytest.mark.live


@pytest.fixture
def client(redis_url: str, namespace: str) -> Iterator[Client]:
    """A client of the namespace of this test, in which three agents have a mailbox."""
    with three_mailboxes(redis_url, namespace) as client:
        yield client


def test_turns_come_as_they_are_said(client: Client) -> None:
    """The next one is said when the last was read, so none of them was there before."""
    talk = begin(client)
    talk["ada"].say("before")
    turns = client.sessions.get(talk["ada"].id).follow()
    read = [next(turns).body]

    for number in range(3):
        speaker = threading.Timer(0.05, talk["bob"].say, [number])
        speaker.start()
        read.append(next(turns).body)
        speaker.join()

    assert read == ["before", 0, 1, 2]


def test_the_end_of_the_session_is_the_last_turn(client: Client) -> None:
    """Whether it was closed while somebody waited for a turn, or long before."""
    talk = begin(client)
    following = talk["ada"].follow()
    closing = threading.Timer(0.05, talk["bob"].close, ["done"])
    closing.start()

    assert [(turn.number, turn.kind) for turn in following] == [(1, "closed")]
    closing.join()
    assert [turn.kind for turn in talk["eve"].follow()] == ["closed"]
    assert list(talk["eve"].follow(after=1)) == []


def test_a_long_transcript_is_followed_page_by_page(client: Client) -> None:
    """None is left out where one page ends; and one may begin anywhere."""
    talk = begin(client)
    for number in range(510):
        talk["ada"].say(number)
    talk["ada"].close()

    assert [turn.number for turn in talk["bob"].follow()] == [*range(1, 512)]
    assert [turn.number for turn in talk["bob"].follow(after=499)] == [*range(500, 512)]


async def test_on_an_event_loop(client: Client, redis_url: str, namespace: str) -> None:
    """While one task waits for a turn another one says it."""
    talk = begin(client)
    async with connect_async(redis_url, namespace=namespace) as other:
        session = other.sessions.get(talk["ada"].id, me="ada")
        following = session.follow()
        await session.say("hello")
        assert (await anext(following)).body == "hello"
        await session.close("done")
        assert [turn.kind async for turn in following] == ["closed"]


@pytest.mark.parametrize("after", [-1, "1", 1.5, True, None])
def test_a_place_that_is_none_is_refused(client: Client, after: Any) -> None:
    """At once, not with the first turn."""
    talk = begin(client)

    with pytest.raises(CoordqError) as caught:
        talk["ada"].follow(after=after)

    assert caught.value.code == "invalid-option"


def test_who_follows_no_session_is_told_so(client: Client) -> None:
    """It may have been kept long enough meanwhile, too."""
    with pytest.raises(SessionNotFound):
        next(client.sessions.get(new_id()).follow())
