"""What is recorded of messages: who sends which, what was heard, and what is left of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

import coordq
from coordq.bus.group import Group
from coordq.bus.take import gather, take
from coordq.client.client import Client
from coordq.interfaces.chaos.bus_told import TurnLeft
from coordq.interfaces.chaos.chatter import (
    CHANNELS,
    CROWD,
    LETTERS_FIRST,
    TURNS,
    Chatter,
    errand,
)
from coordq.interfaces.chaos.history import read_history
from coordq.interfaces.chaos.journal import Journal, lines
from coordq.interfaces.chaos.listeners import (
    CHORUS,
    LEDGER,
    MAILBOXES,
    MIRROR,
    OWN_BOX,
    PEOPLE,
    PORTER,
    RUSH,
    RUSH_MAX,
    TO_ALL,
    groups_of,
)
from coordq.interfaces.chaos.postbox import LETTERS, Postbox
from coordq.interfaces.chaos.rest import read_bus
from tests.waiting import wait_until

BOX = f"{OWN_BOX}0"


def test_a_producer_says_the_same_again() -> None:
    """A seed can be replayed; of another producer it says something else."""
    first, again, other = ([errand(3, who, n) for n in range(50)] for who in (0, 0, 1))

    assert first == again
    assert first != other


def test_a_producer_says_some_of_everything() -> None:
    """Also of what is rare."""
    drawn = [errand(3, 0, number) for number in range(2000)]

    assert {one.channel for one in drawn} == set(CHANNELS)
    assert {one.priority for one in drawn} == {"critical", "normal", "low"}
    assert {one.body.get("failures", 0) for one in drawn} > {0, 1}


@pytest.fixture
def people(redis_url: str, namespace: str) -> Iterator[Client]:
    """A client of a namespace in which somebody would hear what is said."""
    with coordq.connect(redis_url, namespace=namespace) as client:
        for name in MAILBOXES:
            client.bus.add_group(Group(name))
        for name in (LEDGER, MIRROR):
            client.bus.add_group(Group(name, ("news.*",)))
        client.bus.add_group(Group(f"{CHORUS}:1", (TO_ALL,), ephemeral=True))
        client.bus.add_group(Group(PORTER, (RUSH,)))
        yield client


@pytest.mark.live
def test_the_next_life_goes_on_where_the_last_was_killed(people: Client, tmp_path: Path) -> None:
    """With messages of its own, and a session of its own."""
    for life, done in ((0, 60), (1, 100)):
        journal = Journal(tmp_path / f"producer-0-{life}.journal")
        told = [line[0] for path in tmp_path.glob("*.journal") for line in lines(path)]
        sent = told.count("mak") + told.count("sak")
        Chatter(3, 0, journal, sent).keep_up(people, done, share=1.0)

    bus = read_history(tmp_path).bus
    assert len(bus.sent) + len(bus.said) == 100
    assert set(bus.sent) == bus.tried
    for one in bus.sent.values():
        channel = one.place[1:]
        assert one.receivers == (1 if channel == TO_ALL else len(groups_of(channel))), channel
    turns = [turn.receivers for turn in bus.said.values()]
    assert turns.count(1) >= 2
    assert max(turns) <= TURNS


@pytest.mark.live
def test_a_session_in_which_all_was_said_is_closed(people: Client, tmp_path: Path) -> None:
    """An agent takes part in a thousand at most, and what is said to a closed one is a bug to find.

    One that waits for an answer still is left open until it has had it.
    """
    chatter = Chatter(3, 0, Journal(tmp_path / "producer-0-0.journal"), 0)
    chatter.keep_up(people, 60, share=1.0)
    first, *_ = {sent.place[2:]: None for sent in read_history(tmp_path).bus.said.values()}
    session = people.sessions.get(first, me="ada")
    assert session.get().state == "open"

    for _ in range(TURNS):
        session.say({"re": "as it were"})
    chatter.keep_up(people, 160, share=1.0)

    assert session.get().state == "closed"
    assert session.get().turn == 2 * TURNS + 1


@pytest.mark.live
def test_what_finds_no_room_is_published_when_there_is(people: Client, tmp_path: Path) -> None:
    """And acknowledged then: the first part at once, the rest when somebody has made room."""
    people.bus.bound(RUSH, entries=RUSH_MAX, max_bytes=1_000_000)
    chatter = Chatter(7, 0, Journal(tmp_path / "producer-0-0.journal"), 304)
    assert errand(7, 0, 304).channel == RUSH
    reader = Thread(target=_read_all, args=(people, CROWD))
    reader.start()

    chatter.keep_up(people, 305, share=1.0)
    reader.join()

    bus = read_history(tmp_path).bus
    assert len(bus.sent) == CROWD
    assert bus.refused >= CROWD - RUSH_MAX


@pytest.mark.live
def test_a_producer_hears_its_letters_when_all_have_come(people: Client, tmp_path: Path) -> None:
    """So that a critical one always lies behind others, and before some that came later."""
    chatter = Chatter(3, 0, Journal(tmp_path / "producer-0-0.journal"), 300)
    chatter.keep_up(people, 300 + LETTERS_FIRST + LETTERS, share=1.0)

    bus = read_history(tmp_path).bus
    sent = [(one.ms, message) for message, one in bus.sent.items() if one.place[1:] == BOX]
    critical = next(message for message, one in bus.sent.items() if one.place == f"c{BOX}")
    heard = [run for run in bus.heard if run.group == BOX]
    assert len(sent) == len(heard) == LETTERS
    assert heard[0].id == critical
    assert {run.how for run in heard} == {"done"}
    assert all(run.began_ms >= max(sent)[0] for run in heard)
    assert people.bus.group(BOX).figures["handled"] == LETTERS


@pytest.mark.live
def test_letters_that_a_killed_producer_held_are_heard_in_its_next_life(
    people: Client, tmp_path: Path
) -> None:
    """Nobody else reads them, and nothing may be left."""
    journal = Journal(tmp_path / "producer-0-0.journal")
    Postbox(0, journal).make(people)
    ids = [people.bus.publish(BOX, {}).id for _ in range(3)]
    killed = people.bus.subscribe(BOX, reader=BOX[1:])
    assert killed.receive(0) is not None

    Chatter(3, 0, journal, 0).finish(people)

    heard = read_history(tmp_path).bus.heard
    assert [(run.id, run.attempt) for run in heard] == [(one, 2) for one in ids]


def _read_all(client: Client, amount: int) -> None:
    """Hear so many of the rush, none before the channel is full."""
    wait_until(lambda: _entries(client) == RUSH_MAX, what="a full channel")
    with client.bus.subscribe(RUSH, group=PORTER) as messages:
        for _, delivery in zip(range(amount), messages, strict=False):
            delivery.ack()


def _entries(client: Client) -> int:
    return sum(view.entries for view in client.bus.channels() if view.name == RUSH)


@pytest.mark.live
def test_what_is_left_of_messages_is_read(people: Client) -> None:
    """Whoever looks into the wrong keys finds nothing, and nothing wrong."""
    shard = 0
    kept = people.bus.publish("news.north", {"n": 1}).id
    session = people.sessions.open(participants=PEOPLE, id=coordq.new_id(shard))
    said = people.sessions.get(session.id, me="ada").say({"n": 1})
    call = take(shard, "somebody", [LEDGER, "@bob"], want=9, nonce="1")
    given = people.engine.run(call).given
    buried = gather("d", [one for one in given if one.group == LEDGER], reason="no use")
    people.engine.run(take(shard, "somebody", [LEDGER], want=0, nonce="2", settled=buried))

    rest = read_bus(people.engine)

    assert rest.held == {"@bob": [f"n~{session.id} 1-0"]}
    assert rest.heads[MIRROR] == ["nnews.north"]
    assert rest.left == {"nnews.north": 1}
    assert rest.dead == {(LEDGER, kept): "no use"}
    assert rest.transcripts == {session.id: [TurnLeft(1, "ada", said.id, {"n": 1})]}


def test_runs_of_one_message_are_told_apart(tmp_path: Path) -> None:
    """Given back without a delivery it comes with the same number, maybe to the same process."""
    journal = Journal(tmp_path / "run-1.journal")
    run = ("run-1", LEDGER, "1k7unajoj0064rnikppl00", 1)
    journal.write("hea", *run, 5)
    journal.write("hed", *run, "stopped", 6)
    journal.write("hea", *run, 7)
    journal.write("hed", *run, "done", 9)
    journal.write("hea", *run[:3], 2, 8)

    heard = read_history(tmp_path).bus.heard

    assert [(one.began_ms, one.how, one.ended_ms) for one in heard] == [
        (5, "stopped", 6),
        (7, "done", 9),
        (8, "", 0),
    ]
