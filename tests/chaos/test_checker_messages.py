"""The rules about messages and sessions: what a history proves of them, and what it does not.

What is published to a topic goes to the groups `ledger` and, in order, `mirror`; ada and bob take
part in every session.
"""

from __future__ import annotations

import pytest

from coordq.interfaces.chaos.bus_told import Sent, TurnLeft
from coordq.interfaces.chaos.checker import check
from coordq.interfaces.chaos.listeners import LEDGER, MIRROR, PORTER, RUSH
from tests.chaos.postman import (
    EARLY,
    LATE,
    NEWS,
    ONE,
    PLACE,
    TWO,
    hear,
    news,
    publish,
    rest,
)
from tests.chaos.scribe import A, Scribe, Tale, rules

SESSION = f"{A[:18]}talk"


def handled_by_all(told: Scribe) -> None:
    news(told, ONE, TWO)


def buried_with_a_reason(told: Scribe) -> None:
    publish(told, ONE)
    hear(told, ONE, how="failed")
    rest(told, dead={(LEDGER, ONE): "exception: as always", (MIRROR, ONE): "too many deliveries"})


def never_acknowledged(told: Scribe) -> None:
    """A producer that was killed does not know, and nothing was promised."""
    told.history.bus.tried.add(ONE)


def a_letter(told: Scribe) -> None:
    publish(told, ONE, place="c@ada", receivers=1)
    hear(told, ONE, "@ada")


def a_stopped_process_begins_late(told: Scribe) -> None:
    """It was given the message before another handled it, and wakes when all is over."""
    publish(told, ONE)
    hear(told, ONE, process=EARLY, attempt=2)
    news(told, *NEWS)
    hear(told, ONE, LEDGER, process=LATE)


def given_again_before_it_was_acknowledged(told: Scribe) -> None:
    """Its process ended and was killed: nothing proves that Redis heard of it."""
    publish(told, ONE)
    hear(told, ONE, process=EARLY)
    news(told, *NEWS, process=LATE)
    hear(told, ONE, LEDGER, process=LATE, attempt=2)


def a_thread_that_was_told_to_stop_as_it_ended(told: Scribe) -> None:
    """Its run was given back as if it had not been, though the handler thinks it is done."""
    for message_id in (ONE, *NEWS):
        publish(told, message_id, place=f"n{RUSH}", receivers=1)
        hear(told, message_id, PORTER)
    hear(told, ONE, PORTER)


def a_thread_whose_end_nobody_knows_of_yet(told: Scribe) -> None:
    """Its worker hears much else, and begins with nothing of the same group."""
    publish(told, ONE, place=f"n{RUSH}", receivers=1)
    hear(told, ONE, PORTER)
    news(told, *NEWS)
    publish(told, TWO, place=f"n{RUSH}", receivers=1)
    hear(told, TWO, PORTER)
    hear(told, ONE, PORTER, attempt=2)


def told_by_the_later_life_first(told: Scribe) -> None:
    """Of two lives of a producer either journal may be read first."""
    news(told, ONE, TWO)
    told.history.bus.sent = dict(reversed(told.history.bus.sent.items()))


def ended_without_success(told: Scribe) -> None:
    """A run that failed, or was told to stop, acknowledges nothing."""
    publish(told, ONE)
    hear(told, ONE, MIRROR)
    hear(told, ONE, LEDGER, how="stopped")
    news(told, *NEWS)
    hear(told, ONE, LEDGER, attempt=2)


@pytest.mark.parametrize(
    "tell",
    [
        handled_by_all,
        buried_with_a_reason,
        never_acknowledged,
        a_letter,
        a_stopped_process_begins_late,
        given_again_before_it_was_acknowledged,
        a_thread_that_was_told_to_stop_as_it_ended,
        a_thread_whose_end_nobody_knows_of_yet,
        told_by_the_later_life_first,
        ended_without_success,
    ],
    ids=lambda tell: tell.__name__.replace("_", " "),
)
def test_what_the_bus_allows_is_not_complained_of(tell: Tale) -> None:
    """At least once is what was promised; a run that nobody can prevent breaks nothing."""
    assert rules(tell) == set()


def not_handled_by_one_of_two(told: Scribe) -> None:
    publish(told, ONE)
    hear(told, ONE, LEDGER)


def begun_and_never_ended(told: Scribe) -> None:
    publish(told, ONE)
    hear(told, ONE, MIRROR)
    hear(told, ONE, LEDGER, how="")


def taken_for_one_of_two(told: Scribe) -> None:
    publish(told, ONE, receivers=1)
    hear(told, ONE)


def buried_without_a_reason(told: Scribe) -> None:
    publish(told, ONE)
    rest(told, dead={(LEDGER, ONE): "", (MIRROR, ONE): "rejected"})


def buried_for_what_nobody_did(told: Scribe) -> None:
    publish(told, ONE)
    rest(told, dead={(LEDGER, ONE): "expired", (MIRROR, ONE): "too many deliveries"})


def sent_by_nobody(told: Scribe) -> None:
    hear(told, ONE)


def held_for_ever(told: Scribe) -> None:
    news(told, ONE)
    rest(told, held={LEDGER: [f"{PLACE} 1-0"]})


def announced_for_ever(told: Scribe) -> None:
    news(told, ONE)
    rest(told, heads={LEDGER: [PLACE]})


def left_behind(told: Scribe) -> None:
    news(told, ONE)
    rest(told, left={PLACE: 1})


def out_of_order(told: Scribe) -> None:
    publish(told, ONE)
    publish(told, TWO)
    hear(told, TWO)
    hear(told, ONE)


@pytest.mark.parametrize(
    "tell",
    [
        not_handled_by_one_of_two,
        begun_and_never_ended,
        taken_for_one_of_two,
        buried_without_a_reason,
        buried_for_what_nobody_did,
        sent_by_nobody,
        held_for_ever,
        announced_for_ever,
        left_behind,
        out_of_order,
    ],
    ids=lambda tell: tell.__name__.replace("_", " "),
)
def test_a_message_that_is_lost_or_stays_is_named(tell: Tale) -> None:
    """For each group: that the other has it helps nobody."""
    assert rules(tell) == {"message"}


def acknowledged_and_given_again(told: Scribe) -> None:
    news(told, ONE, *NEWS)
    hear(told, ONE, LEDGER, attempt=2)


def given_again_to_another(told: Scribe) -> None:
    """The other had heard what was published long after the acknowledgement."""
    news(told, ONE, *NEWS[:5], process=EARLY)
    news(told, *NEWS[5:], process=LATE)
    hear(told, ONE, LEDGER, process=LATE, attempt=2)


def given_again_to_a_thread(told: Scribe) -> None:
    """The worker has begun with others of the group, so it knew that the first had ended."""
    for message_id in (ONE, *NEWS):
        publish(told, message_id, place=f"n{RUSH}", receivers=1)
        hear(told, message_id, PORTER)
    hear(told, ONE, PORTER, attempt=2)


@pytest.mark.parametrize(
    "tell", [acknowledged_and_given_again, given_again_to_another, given_again_to_a_thread]
)
def test_what_was_acknowledged_and_comes_again_is_named(tell: Tale) -> None:
    """Where it is certain that the acknowledgement came first, by whichever process."""
    assert rules(tell) == {"again"}


# -- sessions --------------------------------------------------------------------------------------


def turns(*said: tuple[str, str, object]) -> list[TurnLeft]:
    """A transcript of speakers, ids and bodies."""
    return [TurnLeft(number, *one) for number, one in enumerate(said, 1)]


TALK = turns(
    ("ada", ONE, {"n": 1}),
    ("ada", TWO, {"n": 2}),
    ("bob", NEWS[0], {"re": ONE}),
    ("bob", NEWS[1], {"re": TWO}),
)


def said(told: Scribe, *ids: str) -> None:
    """A producer hears that turns were said, the first with the number 1."""
    for number, turn_id in enumerate(ids, 1):
        told.history.bus.said[turn_id] = Sent("0", f"n~{SESSION}", number, told.ms, told.ms)


def held(told: Scribe, transcript: list[TurnLeft] = TALK) -> None:
    """A session in which everybody heard everything in order; this is left of it."""
    said(told, ONE, TWO)
    rest(told, transcripts={SESSION: transcript})
    for turn in transcript:
        hear(told, turn.id, "@bob" if turn.speaker == "ada" else "@ada")


def with_a_word_of_the_system(told: Scribe) -> None:
    """Nobody is called for these."""
    held(told)
    end = TurnLeft(5, "", "x/5", {"why": "idle"})
    rest(told, transcripts={SESSION: [*TALK, end]})


def with_a_turn_that_fails_at_first(told: Scribe) -> None:
    """The second waits until the first has been handled, however often that is tried."""
    said(told, ONE, TWO)
    rest(told, transcripts={SESSION: TALK})
    hear(told, ONE, "@bob", how="failed")
    hear(told, ONE, "@bob", attempt=2)
    hear(told, TWO, "@bob")
    hear(told, NEWS[0], "@ada")
    hear(told, NEWS[1], "@ada")


@pytest.mark.parametrize("tell", [held, with_a_word_of_the_system, with_a_turn_that_fails_at_first])
def test_what_a_session_allows_is_not_complained_of(tell: Tale) -> None:
    """Turns in order, each answered once."""
    assert rules(tell) == set()


def a_turn_that_is_gone(told: Scribe) -> None:
    held(told, [])


def another_turn_in_its_place(told: Scribe) -> None:
    held(told)
    said(told, TWO)


def a_gap(told: Scribe) -> None:
    held(told, [one._replace(number=one.number + (one.number > 2)) for one in TALK])


def said_twice(told: Scribe) -> None:
    held(told, [*TALK, TurnLeft(5, "bob", NEWS[2], {"re": ONE})])


def asked_twice(told: Scribe) -> None:
    again = TurnLeft(5, "ada", NEWS[2], {"n": 2})
    held(told, [*TALK, again, TurnLeft(6, "bob", NEWS[3], {"re": NEWS[2]})])


def never_heard(told: Scribe) -> None:
    held(told)
    told.history.bus.heard = told.history.bus.heard[:-1]


def never_answered(told: Scribe) -> None:
    held(told, TALK[:3])


def two_at_a_time(told: Scribe) -> None:
    """The second was given before the first had been handled."""
    held(told)
    first, second, *_ = told.history.bus.heard
    second.began_ms = first.began_ms


@pytest.mark.parametrize(
    "tell",
    [
        a_turn_that_is_gone,
        another_turn_in_its_place,
        a_gap,
        said_twice,
        asked_twice,
        never_heard,
        never_answered,
        two_at_a_time,
    ],
    ids=lambda tell: tell.__name__.replace("_", " "),
)
def test_what_a_session_forbids_is_named(tell: Tale) -> None:
    """Lost, said twice, or out of turn."""
    assert rules(tell) == {"session"}


@pytest.mark.parametrize(
    "tell", [not_handled_by_one_of_two, acknowledged_and_given_again, a_turn_that_is_gone]
)
def test_what_a_failover_took_back_is_excused_and_counted(tell: Tale) -> None:
    """And nothing else is: what lies behind the last entry of a group is coordq's to answer for."""
    scribe = Scribe()
    tell(scribe)
    assert check(scribe.history).violations

    scribe.history.rewound = {0: [(scribe.ms - 10, scribe.ms)], 1: [(scribe.ms, scribe.ms)]}
    verdict = check(scribe.history)

    assert verdict.violations == ()
    assert verdict.excused


def test_what_is_left_is_excused_by_no_failover() -> None:
    """Whatever was lost, nothing may be held for ever."""
    scribe = Scribe()
    held_for_ever(scribe)
    scribe.history.rewound = {0: [(scribe.ms - 10, scribe.ms)]}

    assert [one.rule for one in check(scribe.history).violations] == ["message"]
