"""Conversations: one order of turns for all, one at a time for each, and nothing said twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from coordq.bus.group import Group
from coordq.bus.session import tend
from coordq.client.client import Client, connect
from coordq.client.session_plans import Voice
from coordq.client.sessions import Session
from coordq.client.subscription import Delivery, Subscription
from coordq.engine import bus_keys, keys
from coordq.errors import (
    AgentNotFound,
    AskFailed,
    Conflict,
    CoordqError,
    InvalidTopic,
    NotParticipant,
    NotYourTurn,
    SessionClosed,
    SessionFull,
    SessionNotFound,
    WaitTimeout,
)
from coordq.ids import new_id
from tests.waiting import wait_until

pytestmark = pytest.mark.live
NAMES = ("ada", "bob", "eve")


@pytest.fixture
def client(redis_url: str, namespace: str) -> Iterator[Client]:
    """A client of the namespace of this test, in which three agents have a mailbox."""
    with connect(redis_url, namespace=namespace) as client:
        for name in NAMES:
            client.bus.add_group(Group(f"@{name}"))
        yield client


@pytest.fixture
def boxes(client: Client) -> Iterator[dict[str, Subscription]]:
    """Their mailboxes, read by this test."""
    with ExitStack() as open_ones:
        yield {
            name: open_ones.enter_context(client.bus.subscribe(f"@{name}", prefetch=1))
            for name in NAMES
        }


def begin(client: Client, **rules: Any) -> dict[str, Session]:
    """A session of three, as each of them sees it."""
    rules = {"participants": NAMES} | rules
    session_id = client.sessions.open("plan", **rules).id
    return {name: client.sessions.get(session_id, me=name) for name in NAMES}


def hear(box: Subscription, *, ack: bool = True) -> Delivery | None:
    """The next message of a mailbox, if one is there."""
    delivery = box.receive(0.3)
    if delivery is not None and ack:
        delivery.ack()
    return delivery


def heard(box: Subscription) -> list[Any]:
    """All that is in a mailbox: bodies."""
    bodies = []
    while (delivery := hear(box)) is not None:
        bodies.append(delivery.body)
    return bodies


def test_what_is_said_is_heard_by_all_others_in_one_order(
    client: Client, boxes: dict[str, Subscription]
) -> None:
    """And not by who said it."""
    talk = begin(client)

    numbers = [talk[name].say(f"{name}{n}").turn for n in range(3) for name in ("ada", "bob")]

    assert numbers == [1, 2, 3, 4, 5, 6]
    assert heard(boxes["eve"]) == ["ada0", "bob0", "ada1", "bob1", "ada2", "bob2"]
    assert heard(boxes["ada"]) == ["bob0", "bob1", "bob2"]
    assert [turn.body for turn in talk["eve"].transcript()] == heard_order(6)


def heard_order(amount: int) -> list[str]:
    """What the test above says, in order."""
    return [f"{name}{n}" for n in range(amount // 2) for name in ("ada", "bob")]


def test_the_next_turn_comes_when_the_last_was_acknowledged(
    client: Client, boxes: dict[str, Subscription]
) -> None:
    """So a slow participant, or two of its processes, never hear turns out of order."""
    talk = begin(client)
    talk["ada"].say("first")
    talk["ada"].say("second")
    with client.bus.subscribe("@bob", prefetch=1) as other_process:
        first = hear(boxes["bob"], ack=False)
        assert first is not None
        assert hear(other_process) is None, "not before the first is done with"
        first.ack()

        second = hear(other_process)

    assert (first.body, first.message.turn) == ("first", 1)
    assert second is not None
    assert (second.body, second.message.turn) == ("second", 2)


def test_a_reader_that_crashed_goes_on_where_it_was(client: Client) -> None:
    """What it had not acknowledged comes again, before what was said since."""
    talk = begin(client)
    talk["ada"].say("first")
    lost = client.bus.subscribe("@bob", reader="bob-1", prefetch=1)
    assert hear(lost, ack=False) is not None
    talk["ada"].say("second")

    with client.bus.subscribe("@bob", reader="bob-1", prefetch=1) as again:
        bodies = heard(again)

    assert bodies == ["first", "second"]


def test_what_is_said_to_some_is_heard_by_them(
    client: Client, boxes: dict[str, Subscription]
) -> None:
    """Though all can read it: it is an address, not a secret."""
    talk = begin(client)

    talk["ada"].say("psst", to=["eve"])
    talk["ada"].say("all")

    assert heard(boxes["bob"]) == ["all"]
    assert heard(boxes["eve"]) == ["psst", "all"]
    assert [turn.to for turn in talk["bob"].transcript()] == [("eve",), None]


def test_in_a_round_each_speaks_in_turn(client: Client) -> None:
    """In the order of their coming; whoever is not on turn is told whose it is."""
    talk = begin(client, order="round")

    with pytest.raises(NotYourTurn, match="turn of 'ada'"):
        talk["bob"].say("me first")
    for name in (*NAMES, *NAMES):
        talk[name].say(name)

    assert [turn.speaker for turn in talk["ada"].transcript()] == [*NAMES, *NAMES]
    assert talk["ada"].get().next == "ada"


def test_a_round_goes_on_when_somebody_leaves(client: Client) -> None:
    """Also when it was their turn."""
    talk = begin(client, order="round")
    talk["ada"].say("one")

    talk["bob"].leave()

    assert talk["eve"].say("two").turn == 3
    assert talk["ada"].get().joined == ("ada", "eve")


def test_a_question_is_answered_to_who_asked(
    client: Client, boxes: dict[str, Subscription]
) -> None:
    """The answer stands in the transcript; nobody else is disturbed by it."""
    talk = begin(client)
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(talk["ada"].ask("bob", "how many?")))
    asking.start()
    wait_until(talk["bob"].transcript, what="the question")

    (question,) = talk["bob"].transcript()
    talk["bob"].answer(question, 42)
    asking.join(10)

    assert answers == [42]
    assert [turn.kind for turn in talk["eve"].transcript()] == ["ask", "reply"]
    assert heard(boxes["eve"]) == []
    assert heard(boxes["bob"]) == ["how many?"]


def test_a_delivery_answers_in_parts_too(client: Client, boxes: dict[str, Subscription]) -> None:
    """Parts go to who asked, and are not kept."""
    talk = begin(client)
    parts: list[Any] = []
    answers: list[Any] = []
    asking = threading.Thread(
        target=lambda: answers.append(talk["ada"].ask("bob", "?", on_part=parts.append))
    )
    asking.start()
    question = boxes["bob"].receive(10)
    assert question is not None

    question.reply("half", more=True)
    question.reply("all")
    asking.join(10)

    assert (parts, answers) == (["half"], ["all"])
    assert [(turn.kind, turn.body) for turn in talk["eve"].transcript()][1:] == [("reply", "all")]
    assert heard(boxes["bob"]) == [], "and the question is done with"


def test_a_question_that_nobody_answers_ends(client: Client) -> None:
    """After the time that was given, with the turn that it was."""
    talk = begin(client)

    with pytest.raises(WaitTimeout, match="'bob' did not answer turn 1"):
        talk["ada"].ask("bob", "?", timeout=0.2)


def test_an_error_is_an_answer(client: Client, boxes: dict[str, Subscription]) -> None:
    """Who asked hears of it at once."""
    talk = begin(client)
    errors: list[CoordqError] = []

    def ask() -> None:
        try:
            talk["ada"].ask("bob", "?")
        except AskFailed as error:
            errors.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    question = boxes["bob"].receive(10)
    assert question is not None
    question.fail("tired", "not today")
    asking.join(10)

    assert "not today" in str(errors[0])


def test_what_a_repeated_run_says_is_not_said_again(client: Client) -> None:
    """A handler that crashed behind its first turn goes on with its second."""
    talk = begin(client)
    first_run = client.sessions.speaking(Voice(talk["ada"].id, "ada", key="task7"))
    first_run.say("one")

    second_run = client.sessions.speaking(Voice(talk["ada"].id, "ada", key="task7"))
    said = [second_run.say("one"), second_run.say("two")]

    assert [one.turn for one in said] == [1, 2]
    assert [turn.body for turn in talk["bob"].transcript()] == ["one", "two"]


def test_a_question_asked_again_finds_the_answer_of_the_first_time(client: Client) -> None:
    """Though the reply has long been forgotten by who waited for it."""
    talk = begin(client)
    before = client.sessions.speaking(Voice(talk["ada"].id, "ada", key="task7"))
    with pytest.raises(WaitTimeout):
        before.ask("bob", "?", timeout=0.01)
    talk["bob"].answer(talk["bob"].transcript()[0], "yes")
    root = keys.root(client.namespace, 0)
    question = talk["bob"].transcript()[0].message.id
    client.engine.execute(0, "DEL", bus_keys.replies(root, question))

    again = client.sessions.speaking(Voice(talk["ada"].id, "ada", key="task7"))

    assert again.ask("bob", "?", timeout=5) == "yes"
    assert len(talk["ada"].transcript()) == 2


def test_of_two_that_accept_one_is_first(client: Client) -> None:
    """Both decide at the same moment; one of them hears that it was too late."""
    talk = begin(client)
    offer = talk["ada"].offer({"price": 7}).turn
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def accept(name: str) -> None:
        start.wait()
        try:
            talk[name].accept(offer)
            outcomes.append("accepted")
        except Conflict:
            outcomes.append("too late")

    threads = [threading.Thread(target=accept, args=(name,)) for name in ("bob", "eve")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sorted(outcomes) == ["accepted", "too late"]
    assert [turn.kind for turn in talk["ada"].transcript()] == ["offer", "accept"]


def test_an_offer_stands_while_others_chat(client: Client) -> None:
    """Only what bargains takes it off the table."""
    talk = begin(client)
    offer = talk["ada"].offer({"price": 7}).turn
    talk["eve"].say("hm")

    counter = talk["bob"].counter(offer, {"price": 5}).turn

    with pytest.raises(Conflict, match="stands no more"):
        talk["eve"].accept(offer)
    assert talk["ada"].accept(counter).turn == 4
    assert talk["bob"].transcript(after=3)[0].message.correlation


def test_who_expects_another_last_turn_says_nothing(client: Client) -> None:
    """Compare and say: for decisions that rest on what was read."""
    talk = begin(client)
    talk["ada"].say("one")

    with pytest.raises(Conflict, match="last turn is 1"):
        talk["bob"].say("after nothing", expects=0)
    assert talk["bob"].say("after one", expects=1).turn == 2


def test_turns_of_many_speakers_are_numbered_without_a_gap(client: Client) -> None:
    """Three threads say ten things each; there is one order, and all is in it."""
    talk = begin(client)

    def speak(name: str) -> None:
        for n in range(10):
            talk[name].say(n)

    threads = [threading.Thread(target=speak, args=(name,)) for name in NAMES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    turns = talk["ada"].transcript()
    assert [turn.number for turn in turns] == list(range(1, 31))
    for name in NAMES:
        assert [turn.body for turn in turns if turn.speaker == name] == list(range(10))


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
