"""Chapter 37. Sessions: conversations of ordered turns, which outlive those who hold them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coordq import Client, Session, new_id
from coordq.errors import (
    AgentNotFound,
    Conflict,
    NotParticipant,
    NotYourTurn,
    SessionClosed,
    SessionFull,
)
from tests.manual.conftest import Shell
from tests.waiting import wait_until

AGENTS = """
from typing import Any

from coordq import Agent, Context

captain, mate, critic = Agent("captain"), Agent("mate"), Agent("critic")


@captain.on(kind="plan")
async def plan(ctx: Context, body: str) -> None:
    depth = await ctx.session.ask("mate", "how deep?", timeout=30)
    await ctx.session.say(f"{body}, at {depth} fathoms", kind="decision")


@captain.on(kind="fragile")
async def say_two_things(ctx: Context, body: Any) -> None:
    await ctx.session.say("one", to=["me"])
    if ctx.attempt == 1:
        raise ValueError("the mast broke")
    await ctx.session.say("two", to=["me"])


@mate.on(kind="ask")
async def measure(body: str) -> int:
    return 7


@critic.on(kind="invite")
async def accept(ctx: Context, session: str, role: str, about: Any) -> None:
    talk = ctx.client.sessions.get(session, me="critic")
    await talk.join()
    await talk.say(f"as {role} I doubt it")


@critic.on(kind="offer")
async def bargain(ctx: Context, body: dict) -> None:
    if body["price"] > 5:
        await ctx.session.counter(ctx.message.turn, {"price": 5})


@captain.on()
@mate.on()
@critic.on()
async def listen(body: Any) -> None: ...
"""


@pytest.fixture(scope="module", autouse=True)
def listening(worker: object, client: Client) -> None:  # noqa: ARG001 - it must run
    """From here on the worker's agents have mailboxes, and can take part."""
    wait_until(lambda: {"@captain", "@mate", "@critic"} <= _groups(client))


def _groups(client: Client) -> set[str]:
    return {one.name for one in client.bus.groups()}


def said(talk: Session) -> list[tuple[str, str, Any]]:
    """Who, what for, and the words, of all turns."""
    return [(turn.speaker, turn.kind, turn.body) for turn in talk.transcript()]


def test_open_say_and_read(client: Client) -> None:
    """Who takes part has a mailbox, as agents of workers do. `me` is as whom you speak."""
    talk = client.sessions.open("where to sail", participants={"mate": "navigator"}, me="me")

    assert talk.say("North, I think.").turn == 1

    assert said(talk) == [("me", "say", "North, I think.")]
    view = talk.get()
    assert (view.about, view.state, view.turn) == ("where to sail", "open", 1)
    assert {one.name: one.role for one in view.people} == {"me": "", "mate": "navigator"}


def test_everybody_speaks_by_a_session_of_their_own(client: Client) -> None:
    """`get(id, me=...)`. There is one order of turns; `expects` says which one you have read to."""
    ada = client.sessions.open("plan", participants=["mate"], me="ada")
    mate = client.sessions.get(ada.id, me="mate")
    ada.say("one")
    mate.say("two", expects=1)

    with pytest.raises(Conflict):
        ada.say("after one?", expects=1)

    assert [turn.number for turn in ada.transcript(after=1)] == [2]


def test_turns_are_heard_in_order_one_at_a_time(client: Client) -> None:
    """In the mailbox; the next comes when the last is acknowledged. Yours do not come back."""
    talk = client.sessions.open("plan", participants=["mate"], me="me")
    other = client.sessions.get(talk.id, me="mate")
    for number in range(3):
        talk.say("mine")
        other.say(number)

    with client.bus.subscribe("@me") as mailbox:
        heard: list[tuple[int, Any]] = []
        while len(heard) < 3:
            delivery = mailbox.receive(timeout=60)
            assert delivery is not None
            heard.append((delivery.message.turn, delivery.body))
            delivery.ack()

    assert heard == [(2, 0), (4, 1), (6, 2)]


def test_agents_talk_in_their_workers(client: Client) -> None:
    """`ctx.session` is the session that a listener was called from; asking waits for the answer."""
    talk = client.sessions.open("where to sail", participants=["captain", "mate"], me="me")

    talk.say("north", kind="plan", to=["captain"])

    wait_until(lambda: talk.get().turn == 4, what="the decision")
    assert said(talk) == [
        ("me", "plan", "north"),
        ("captain", "ask", "how deep?"),
        ("mate", "reply", 7),
        ("captain", "decision", "north, at 7 fathoms"),
    ]


def test_you_may_ask_too(client: Client) -> None:
    """The answer is what their listener returns; question and answer are turns, for all to read."""
    talk = client.sessions.open("depth", participants=["mate"], me="me")

    assert talk.ask("mate", "how deep?", timeout=30) == 7

    assert [turn.kind for turn in talk.transcript()] == ["ask", "reply"]


def test_a_repeated_run_says_nothing_twice(client: Client) -> None:
    """What its first run has said is said: by its place among all that the handler says.

    So it goes on where it was, also when its process was killed. It must say the same things in
    the same order; a question that was asked again finds the answer that came.
    """
    talk = client.sessions.open("storm", participants=["captain"], me="me")

    talk.say(None, kind="fragile")

    wait_until(lambda: talk.get().turn == 3, what="the second run")
    assert [body for _, _, body in said(talk)] == [None, "one", "two"]


def test_invite_and_join(client: Client) -> None:
    """An invitation is a message of kind `invite`; who joins hears what is said from then on.

    With `join(history=True)` also what was said before.
    """
    talk = client.sessions.open("where to sail", me="me")
    talk.say("North!")

    talk.invite("critic", role="sceptic")

    wait_until(lambda: talk.get().turn == 3, what="the critic")
    assert said(talk)[1:] == [
        ("critic", "joined", {"name": "critic", "role": "sceptic"}),
        ("critic", "say", "as sceptic I doubt it"),
    ]


def test_leave(client: Client) -> None:
    """Who left neither speaks nor hears; when the last one has left the session is closed."""
    talk = client.sessions.open("plan", participants=["mate"], me="me")
    talk.leave()

    with pytest.raises(NotParticipant):
        talk.say("one more thing")

    client.sessions.get(talk.id, me="mate").leave()
    assert (talk.get().state, talk.get().why) == ("closed", "empty")


def test_close(client: Client) -> None:
    """For all. What was said is heard to its end, and can be read for a day (`keep`)."""
    talk = client.sessions.open("plan", me="me")
    talk.say("enough")
    talk.close("decided")

    with pytest.raises(SessionClosed, match="decided"):
        talk.say("wait")

    assert said(talk)[0] == ("me", "say", "enough")


def test_following(client: Client) -> None:
    """`follow` gives what was said, waits for what is said next, and ends with the session."""
    talk = client.sessions.open("where to sail", me="me")
    talk.say("North!")
    turns = talk.follow()
    assert next(turns).body == "North!"

    talk.say("Or south.")

    assert next(turns).body == "Or south."
    talk.close("decided")
    assert [turn.kind for turn in turns] == ["closed"]


def test_a_round(client: Client) -> None:
    """`order="round"`: each speaks in turn, in the order of their coming."""
    me = client.sessions.open("debate", participants=["mate"], me="me", order="round")
    mate = client.sessions.get(me.id, me="mate")

    with pytest.raises(NotYourTurn, match="turn of 'me'"):
        mate.say("me first")

    me.say("for")
    mate.say("against")
    assert me.get().next == "me"


def test_offers(client: Client) -> None:
    """Offer, counter, accept, decline, by turn. Of two who decide at once the first has it."""
    talk = client.sessions.open("a boat", participants=["critic"], me="me")
    offer = talk.offer({"price": 9}).turn
    wait_until(lambda: said(talk)[-1][1] == "counter", what="the counter-offer")

    talk.accept(offer + 1, note="done")

    assert [(kind, body) for _, kind, body in said(talk)] == [
        ("offer", {"price": 9}),
        ("counter", {"price": 5}),
        ("accept", "done"),
    ]
    with pytest.raises(Conflict, match="stands no more"):
        client.sessions.get(talk.id, me="critic").decline(offer)


def test_limits(client: Client) -> None:
    """Turns, bytes, people, a day without a turn (`idle`), a `deadline`."""
    talk = client.sessions.open("short", me="me", turns=1, max_bytes=10_000, max_people=2, idle=60)
    talk.say("that is all")

    with pytest.raises(SessionFull):
        talk.say("not quite")


def test_opening_again_by_the_same_id_has_no_effect(client: Client) -> None:
    """Make the id yourself, and a crash between opening and writing it down does no harm."""
    chosen = new_id()
    first = client.sessions.open("plan", me="me", id=chosen)
    first.say("hello")

    again = client.sessions.open("plan", me="me", id=chosen)

    assert said(again) == [("me", "say", "hello")]


def test_who_reads_no_mailbox_cannot_take_part(client: Client) -> None:
    """You are told at once, not when nobody answers."""
    with pytest.raises(AgentNotFound, match="nobody"):
        client.sessions.open("plan", participants=["nobody"])


def test_sessions_from_the_shell(shell: Shell) -> None:
    """`coordq session open|say|join|invite|leave|show|ls|close`; the transcript reads like a play.

    `show --follow` goes on until the session is closed.
    """
    session = shell("session", "open", "where to sail", "--with", "mate:navigator", "--as", "me")
    shell("session", "say", session, "--as", "me", "--text", "North, I think.")
    shell("session", "join", session, "--as", "guest", "--role", "listener")
    shell("session", "leave", session, "--as", "guest")
    shell("session", "close", session, "--why", "decided")

    told = shell("session", "show", session, "--follow").splitlines()

    assert told[0] == "about\twhere to sail"
    assert told[-4].endswith("  me: North, I think.")
    assert told[-3].endswith("  - guest joined as listener")
    assert told[-1].endswith("  - closed: decided")
    listed = json.loads(shell("session", "ls", "--json"))
    assert (listed[0]["id"], listed[0]["state"]) == (session, "closed")
