"""Conversations: one order of turns for all, one at a time for each, and nothing said twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from coordq.client.client import Client
from coordq.client.drive import drive
from coordq.client.plan import Plan
from coordq.client.session_plans import Voice, ask
from coordq.client.subscription import Subscription
from coordq.engine import bus_keys, keys
from coordq.errors import (
    AskFailed,
    Conflict,
    CoordqError,
    NotYourTurn,
    WaitTimeout,
)
from tests.client.talk import NAMES, begin, hear, heard, open_mailboxes, three_mailboxes
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


def test_what_is_said_to_some_needs_no_turn(client: Client) -> None:
    """A question aside, while another has the floor."""
    talk = begin(client, order="round", participants=("eve", "bob", "ada"))

    talk["ada"].say("psst", to=["bob"])

    assert talk["eve"].get().next == "eve", "those who were named first come first"
    assert talk["eve"].say("to all").turn == 2


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
    asking.join(60)

    assert answers == [42]
    assert [turn.kind for turn in talk["eve"].transcript()] == ["ask", "reply"]
    assert heard(boxes["eve"]) == []
    assert heard(boxes["bob"]) == ["how many?"]


def test_parts_that_came_before_one_listened_are_heard_too(
    client: Client, boxes: dict[str, Subscription]
) -> None:
    """Who answers may be faster than who asked is at listening: the last part is not all of it."""
    talk = begin(client)
    parts: list[Any] = []
    voice, namespace = Voice(talk["ada"].id, "ada"), client.engine.namespace
    plan = ask(namespace, voice, "bob", "?", limit_s=60, on_part=parts.append)

    def answered_at_once() -> Plan[Any]:
        said = yield next(plan)
        question = boxes["bob"].receive(60)
        assert question is not None
        for part in ("one", "two"):
            question.reply(part, more=True)
        question.reply("all")
        step = plan.send(said)
        try:
            while True:
                step = plan.send((yield step))
        except StopIteration as stop:
            return stop.value

    assert drive(client.engine, answered_at_once()) == "all"
    assert parts == ["one", "two"]


def test_a_delivery_answers_in_parts_too(client: Client, boxes: dict[str, Subscription]) -> None:
    """Parts go to who asked, and are not kept."""
    talk = begin(client)
    parts: list[Any] = []
    answers: list[Any] = []
    asking = threading.Thread(
        target=lambda: answers.append(talk["ada"].ask("bob", "?", on_part=parts.append))
    )
    asking.start()
    question = boxes["bob"].receive(60)
    assert question is not None

    question.reply("half", more=True)
    question.reply("all")
    asking.join(60)

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
    question = boxes["bob"].receive(60)
    assert question is not None
    question.fail("tired", "not today")
    asking.join(60)

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

    assert again.ask("bob", "?", timeout=60) == "yes"
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
        thread.join(60)

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
        thread.join(60)

    turns = talk["ada"].transcript()
    assert [turn.number for turn in turns] == list(range(1, 31))
    for name in NAMES:
        assert [turn.body for turn in turns if turn.speaker == name] == list(range(10))
