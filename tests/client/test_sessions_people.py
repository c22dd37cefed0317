"""People come, are invited, leave, and close sessions; time closes those that they forgot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coordq.bus.session import tend
from coordq.client.client import Client
from coordq.client.subscription import Subscription
from coordq.engine import bus_keys, keys
from coordq.errors import (
    NotParticipant,
    SessionClosed,
    SessionNotFound,
)
from coordq.ids import new_id
from tests.client.talk import NAMES, begin, heard, open_mailboxes, three_mailboxes
from tests.waiting import wait_until

pytestmark = pytest.mark.live


@pytest.fixture
def client(redis_url: str, namespace: str) -> Iterator[Client]:
    """A client of the namespace of this test, in which three agents have a mailbox."""
    with three_mailboxes(redis_url, namespace) as client:
        yield client


@pytest.fixture
def boxes(client: Client) -> Iterator[dict[str, Subscription]]:
    """Their mailboxes, read by this test."""
    with open_mailboxes(client) as boxes:
        yield boxes


def test_an_invitation_is_a_message_and_who_joins_may_hear_what_was_said(
    client: Client, boxes: dict[str, Subscription]
) -> None:
    """The role of the invitation is theirs when they name none."""
    session = client.sessions.open("plan", participants=["ada"])
    ada = client.sessions.get(session.id, me="ada")
    ada.say("first")

    ada.invite("bob", role="critic")
    (invitation,) = heard(boxes["bob"])
    client.sessions.get(invitation["session"], me="bob").join(history=True)

    assert (invitation["about"], invitation["by"]) == ("plan", "ada")
    assert heard(boxes["bob"]) == ["first"]
    bob = next(one for one in session.get().people if one.name == "bob")
    assert (bob.state, bob.role) == ("joined", "critic")
    assert heard(boxes["ada"]) == [{"name": "bob", "role": "critic"}], "a turn of kind joined"


def test_who_left_hears_no_more(client: Client, boxes: dict[str, Subscription]) -> None:
    """Nor what they had not heard yet."""
    talk = begin(client)
    talk["ada"].say("one")

    talk["bob"].leave()
    talk["ada"].say("two")

    assert heard(boxes["bob"]) == []
    with pytest.raises(NotParticipant):
        talk["bob"].say("still here?")


def test_the_last_to_leave_closes_the_door(client: Client) -> None:
    """An empty session is over."""
    talk = begin(client)

    for name in NAMES:
        talk[name].leave()

    view = talk["ada"].get()
    assert (view.state, view.why) == ("closed", "empty")


def test_what_was_said_before_the_close_is_heard_to_its_end(
    client: Client, boxes: dict[str, Subscription]
) -> None:
    """And then that it is closed."""
    talk = begin(client)
    talk["ada"].say("one")

    talk["ada"].close("done")

    assert heard(boxes["bob"]) == ["one", {"why": "done"}]
    with pytest.raises(SessionClosed, match="done"):
        talk["bob"].say("wait")


def age(client: Client, session_id: str) -> None:
    """Its time is over."""
    root = keys.root(client.namespace, 0)
    client.engine.execute(0, "ZADD", bus_keys.sessions_due(root), "1", session_id)


def test_a_session_that_nobody_speaks_in_is_closed_and_goes(client: Client) -> None:
    """With all that it has in Redis."""
    talk = begin(client)
    session_id = talk["ada"].id
    talk["ada"].say("one")

    age(client, session_id)
    assert client.engine.run(tend(0)).closed == 1
    assert talk["ada"].get().why == "idle"
    age(client, session_id)
    assert client.engine.run(tend(0)).gone == 1

    with pytest.raises(SessionNotFound):
        talk["ada"].get()
    root = keys.root(client.namespace, 0)
    left = client.engine.execute(0, "KEYS", f"{root}*{session_id}*".replace("{", "\\{"))
    assert left == []


def test_a_session_past_its_deadline_is_closed_for_whoever_speaks(client: Client) -> None:
    """Whether or not somebody tends it."""
    talk = begin(client, deadline=0.001)

    with pytest.raises(SessionClosed, match="deadline"):
        wait_until(lambda: talk["ada"].say("late") is None, what="the deadline")


def test_sessions_are_listed_those_that_moved_last_first(client: Client) -> None:
    """All, or the open ones of somebody."""
    first = client.sessions.open("a", participants=["ada"])
    second = client.sessions.open("b", participants=["bob"])
    client.sessions.get(first.id, me="ada").say("hello")

    assert [view.id for view in client.sessions.ls()] == [first.id, second.id]
    assert [view.about for view in client.sessions.ls(name="bob")] == ["b"]


def test_opening_the_same_session_again_has_no_effect(client: Client) -> None:
    """A handler that crashed behind its first open finds its session."""
    session_id = new_id(0)
    client.sessions.open("a", participants=["ada"], id=session_id)
    client.sessions.get(session_id, me="ada").say("hello")

    client.sessions.open("a", participants=["ada"], id=session_id)

    assert client.sessions.get(session_id).get().turn == 1


def test_who_opens_takes_part_and_gets_a_mailbox(client: Client) -> None:
    """A person at a prompt needs no worker."""
    session = client.sessions.open("a", participants=["ada"], me="grace")

    client.sessions.get(session.id, me="ada").say("hello")

    with client.bus.subscribe("@grace") as box:
        assert heard(box) == ["hello"]
