"""Causal order by itself: clocks and the buffer, without Redis and without time."""

from __future__ import annotations

import json
import multiprocessing
import random
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from coordq.bus.causal import BYTES_MAX, ENTRIES_MAX, Causal, Clock, Missing, read_clock
from coordq.bus.causal_buffer import CausalBuffer
from coordq.bus.envelope import parcel, read_message
from coordq.errors import InvalidName
from tests.bus.gossip import CHANNELS, Heard, Reader, Said, Step, steps, tell

hearing = st.sets(st.sampled_from(CHANNELS), min_size=1).map(frozenset)


def play(history: list[Step], reader: Reader, seed: int, made: type[Causal] = Causal) -> list[Said]:
    """All that a reader hears comes, in any order, some of it twice before it is handed out."""
    chance = random.Random(seed)
    heard = [said for said in tell(history, made) if said.channel in reader.hears]
    for said in chance.sample(heard, len(heard)):
        reader.take(said)
        if said not in reader.out and chance.random() < 0.3:
            reader.take(said)
    return heard


@given(steps, hearing, st.integers(0, 2**16))
def test_whatever_arrives_how_each_comes_once_after_all_it_comes_after(
    history: list[Step], hears: frozenset[str], seed: int
) -> None:
    """The promise: in any order of arrival, on any choice of channels, with repetitions."""
    reader = Reader(hears)

    heard = play(history, reader, seed)

    assert sorted(said.number for said in reader.out) == [said.number for said in heard]
    assert (reader.early(), reader.marked, len(reader.buffer)) == ([], set(), 0)


class Deaf(CausalBuffer[Said]):
    """Planted: it waits for what the same publisher said, and for nobody else."""

    def add(self, item: Said, channel: str, clock: Clock | None, now_s: float) -> Any:
        """With what others said struck out of the clock."""
        assert clock is not None
        own = {dot: n for dot, n in clock.after.items() if dot[1] == clock.publisher}
        return super().add(item, channel, clock._replace(after=own), now_s)


class Hasty(CausalBuffer[Said]):
    """Planted: it takes a later message of a publisher for all that came before."""

    def add(self, item: Said, channel: str, clock: Clock | None, now_s: float) -> Any:
        """Counts before it is handed out."""
        assert clock is not None
        self._pass((channel, clock.publisher), clock.number)
        return super().add(item, channel, clock, now_s)


class Forgetful(Causal):
    """Planted: it knows what it has read, and not what that knew."""

    def _merge(self, channel: str, clock: Clock) -> None:
        self._learn((channel, clock.publisher), clock.number)


@pytest.mark.parametrize(
    ("buffer", "publisher"), [(Deaf, Causal), (Hasty, Causal), (CausalBuffer, Forgetful)]
)
def test_the_property_finds_planted_bugs(
    buffer: type[CausalBuffer[Said]], publisher: type[Causal]
) -> None:
    """A property that cannot fail says nothing."""

    def breaks(case: tuple[list[Step], frozenset[str], int]) -> bool:
        reader = Reader(case[1], made=buffer)
        play(case[0], reader, case[2], publisher)
        return reader.early() != []

    case = st.tuples(steps, hearing, st.integers(0, 2**16))
    found = find(
        case,
        breaks,
        settings=settings(max_examples=5_000, derandomize=True, phases=[Phase.generate]),
    )

    assert breaks(found)


@given(steps, st.integers(0, 2**16), st.integers(1, 5), st.sampled_from([0.1, 0.5]))
def test_what_is_lost_is_waited_for_so_long_and_by_so_many(
    history: list[Step], seed: int, bound: int, loss: float
) -> None:
    """No more than the bound wait, each that came is handed out once, what is early is marked."""
    chance, reader = random.Random(seed), Reader(bound=bound)
    came = [said for said in tell(history) if chance.random() > loss]

    for moment, said in enumerate(chance.sample(came, len(came))):
        reader.take(said, moment)
        reader.note(reader.buffer.ripen(moment))
    reader.note(reader.buffer.ripen(1e9))

    assert reader.most <= bound
    assert sorted(said.number for said in reader.out) == [said.number for said in came]
    assert reader.early() == []
    assert {str(loss.why) for loss in reader.buffer.losses} <= {"bound", "patience"}


@given(steps, hearing, st.integers(0, 2**16))
def test_who_comes_later_does_not_wait_for_what_was_before(
    history: list[Step], hears: frozenset[str], seed: int
) -> None:
    """All that is to come has come: what is missing is older than the reader, and no loss."""
    chance, reader = random.Random(seed), Reader(hears)
    said = tell(history)
    since = chance.randint(0, len(said))
    heard = [each for each in said[since:] if each.channel in hears]

    for each in chance.sample(heard, len(heard)):
        reader.take(each)
    reader.note(reader.buffer.absent(set(CHANNELS)))

    assert sorted(each.number for each in reader.out) == [each.number for each in heard]
    assert (reader.early(), reader.buffer.losses, len(reader.buffer)) == ([], [], 0)


def test_what_is_known_to_be_lost_is_named_and_not_waited_for() -> None:
    """Once, with whom it was to come before; what comes after it is marked."""
    ada, reader = Causal("ada"), Reader()
    one, two, three = said_by(ada, "a", 3)
    reader.take(one)
    reader.take(three)

    reader.note(reader.buffer.absent({"b"}))
    assert reader.out == [one]
    reader.note(reader.buffer.absent({"a"}))

    assert reader.out == [one, three]
    missing = Missing("a", ada.publisher, two.clock.number)
    assert [(loss.missing, loss.item, loss.why) for loss in reader.buffer.losses] == [
        (missing, three, "lost")
    ]
    assert reader.marked == {three.number}
    reader.take(two)
    assert reader.out == [one, three, two]


def test_what_was_given_back_is_waited_for_again() -> None:
    """It was handed out and not handled: what comes after it comes after the next time."""
    ada, reader = Causal("ada"), Reader()
    one, two, three = said_by(ada, "a", 3)
    for said in (one, two):
        reader.take(said)

    reader.buffer.gave_back("a", one.clock)
    reader.buffer.gave_back("a", two.clock)
    for said in (three, two):
        reader.take(said)
    assert reader.out == [one, two]
    reader.take(one)

    assert reader.out == [one, two, one, two, three]


def test_what_was_given_back_and_never_came_is_given_up() -> None:
    """Once, and not again by each message that follows."""
    ada, reader = Causal("ada"), Reader()
    one, two, three = said_by(ada, "a", 3)
    reader.take(one)
    reader.buffer.gave_back("a", one.clock)
    reader.take(two, 1.0)
    assert reader.buffer.ripe_s() == 11.0

    reader.note(reader.buffer.ripen(11.0))
    reader.take(three, 11.0)

    assert reader.out == [one, two, three]
    assert [loss.why for loss in reader.buffer.losses] == ["patience"]


def test_the_bound_gives_up_the_oldest_and_keeps_the_others_in_order() -> None:
    """What the oldest waits for in here goes before it, though it came later."""
    ada, bob, reader = Causal("ada"), Causal("bob"), Reader(bound=2)
    lost, one = said_by(ada, "a", 2)
    bob.saw(Heard("a", one.clock))
    (two,) = said_by(bob, "b", 1, first=2)
    (stranger,) = said_by(bob, "b", 1, first=3)
    for said in (stranger, two, one):
        reader.take(said)

    assert reader.out == [one, two, stranger]
    assert [loss.missing.number for loss in reader.buffer.losses] == [lost.clock.number]
    assert reader.marked == {one.number}


def test_messages_without_a_clock_pass() -> None:
    """Their publishers asked for no order."""
    buffer = CausalBuffer[str](lambda _: True, bound=1, patience_s=1)

    assert [each.item for each in buffer.add("x", "a", None, 0.0)] == ["x"]


def test_a_circle_is_nobodys_clock_and_holds_nothing_up() -> None:
    """Whoever writes nonsense gets it delivered."""
    buffer = CausalBuffer[str](lambda _: True, bound=5, patience_s=1)
    buffer.add("x", "a", Clock("p", 1, {("a", "q"): 1}), 0.0)
    buffer.add("y", "a", Clock("q", 1, {("a", "p"): 1}), 0.0)

    assert sorted(each.item for each in buffer.ripen(1.0)) == ["x", "y"]
    assert len(buffer) == 0


def said_by(publisher: Causal, channel: str, amount: int, first: int = 0) -> list[Said]:
    """Messages of one, one after the other."""
    return [
        Said(first + at, channel, publisher.draw(channel).clocks[0], frozenset())
        for at in range(amount)
    ]


# -- clocks --------------------------------------------------------------------------------------


@given(steps)
def test_a_clock_is_read_as_it_was_written(history: list[Step]) -> None:
    """In an envelope, with all that it comes after."""
    for said in tell(history):
        sent = parcel(said.channel, 1, kind="k").clocked(said.clock)

        message = read_message(said.channel, "normal", sent.header, sent.body)

        assert message.clock == said.clock
        assert message.kind == "k"


def test_a_clock_stays_small_however_much_was_read() -> None:
    """The latest are kept."""
    reader = Causal("reader")
    for number in range(500):
        channel = f"{number:0>200}"
        reader.saw(Heard(channel, Clock("p" * 49, number + 1, {})))

        assert len(reader.draw("own").clocks[0].text("own")) <= BYTES_MAX
    for number in range(500):
        reader.saw(Heard(f"t{number}", Clock("p", number + 1, {})))

    assert len(reader.after) == ENTRIES_MAX
    assert ("t499", "p") in reader.after
    assert reader.forgotten > 900


def test_in_one_channel_a_clock_names_the_latest_and_its_own() -> None:
    """A thousand messages of many publishers in turn: two predecessors, not twenty."""
    publishers = [Causal(f"p{number}") for number in range(20)]
    clock = publishers[0].draw("a").clocks[0]
    for number in range(1_000):
        who = publishers[number % 20]
        who.saw(Heard("a", clock))
        clock = who.draw("a").clocks[0]

    assert set(clock.after) == {("a", each.publisher) for each in publishers[-2:]}


def test_what_was_not_published_leaves_no_hole() -> None:
    """A number is left out, and nothing comes after it."""
    ada = Causal("ada")
    first = ada.draw("a").clocks[0]
    many = ada.draw("a", 3)
    ada.undo(many, 1)
    ada.undo(ada.draw("a"))

    after = ada.draw("a").clocks[0].after

    assert after == {("a", ada.publisher): first.number + 1}


def test_two_lives_of_a_publisher_are_two_publishers() -> None:
    """Else its second message would be taken for the first one's repetition."""
    assert Causal("ada").publisher != Causal("ada").publisher


def test_a_fork_is_a_life_of_its_own() -> None:
    """Parent and child go on from the same number."""
    ada = Causal("ada")
    ada.draw("a")
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(
        target=lambda: there.send(ada.draw("a").clocks[0])
    )
    child.start()
    told = here.recv()
    child.join()

    mine = ada.draw("a").clocks[0]

    assert told.number == mine.number
    assert told.publisher != mine.publisher
    assert told.after == mine.after


WRONG: list[Any] = [
    {},
    [],
    ["p"],
    ["p", 0],
    ["p", "1"],
    ["p", True],
    ["", 1],
    [7, 1],
    ["p", 1, []],
    ["p", 1, {"a": 1}],
    ["p", 1, {"a": {"q": 0}}],
    ["p", 1, {"a": {"q": "1"}}],
    ["p", 1, {}, 1],
    ["p", 1, {"a": {str(n): 1 for n in range(1_025)}}],
]


@pytest.mark.parametrize("words", WRONG, ids=lambda words: json.dumps(words)[:24])
def test_a_clock_that_coordq_did_not_write_is_refused(words: Any) -> None:
    """It becomes a dead letter, not a wrong order."""
    with pytest.raises(ValueError, match=r".{10}"):
        read_clock(words, "a")


@pytest.mark.parametrize("name", ["", "a b", "a.b", "ä", "x" * 41, 7, None])
def test_a_publisher_has_a_name_that_fits_into_a_clock(name: Any) -> None:
    """Refused by name."""
    with pytest.raises(InvalidName) as refused:
        Causal(name)

    assert refused.value.code == "invalid-name"
