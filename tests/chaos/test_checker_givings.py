"""The rules about how messages are given out, and about what groups count of it."""

from __future__ import annotations

import pytest

from coordq.interfaces.chaos.bus_told import Hearing, TurnLeft
from coordq.interfaces.chaos.checker import check
from coordq.interfaces.chaos.givings import HELD_MS
from coordq.interfaces.chaos.listeners import (
    CHORUS,
    LATER_MS,
    LEDGER,
    MIRROR,
    OWN_BOX,
    PORTER,
    RUSH,
    RUSH_MAX,
    TO_ALL,
)
from tests.chaos.postman import EARLY, LATE, NEWS, ONE, TWO, hear, news, publish, rest
from tests.chaos.scribe import A, Scribe, Tale, rules

ALL, CROWDED = f"n{TO_ALL}", f"n{RUSH}"
URGENT = "cnews.north"
BOX = f"{OWN_BOX}0"


def at_work(told: Scribe, message_id: str, *, process: str, attempt: int = 1) -> Hearing:
    """A listener begins with a message."""
    told.wait(1)
    run = Hearing(process, LEDGER, message_id, attempt, told.ms)
    told.history.bus.heard.append(run)
    return run


def ends(told: Scribe, run: Hearing, how: str = "done") -> None:
    """And comes to its end."""
    told.wait(1)
    run.how, run.ended_ms = how, told.ms


# -- to one at a time ------------------------------------------------------------------------------


def shared(told: Scribe, *, after_ms: int = 0, how: str = "done") -> None:
    """A message is given to a second process while the first is still at work with it."""
    publish(told, ONE)
    hear(told, ONE, MIRROR)
    first = at_work(told, ONE, process=EARLY)
    told.wait(after_ms)
    second = at_work(told, ONE, process=LATE, attempt=2)
    ends(told, second)
    if how:
        ends(told, first, how)


def given_to_two(told: Scribe) -> None:
    shared(told)


def given_to_another_when_its_time_was_over(told: Scribe) -> None:
    """Whoever is stopped for so long loses what it holds."""
    shared(told, after_ms=HELD_MS)


def given_to_another_when_the_first_had_died(told: Scribe) -> None:
    """What it did in the end nobody knows: it may have been killed by then."""
    shared(told, how="")


def given_to_another_when_the_first_was_told_to_stop(told: Scribe) -> None:
    """A plain function cannot be interrupted: its message is given back before it ends."""
    shared(told, how="stopped")


# -- critical ones first ---------------------------------------------------------------------------


def overtaken(told: Scribe, *, later_ms: int, attempt: int = 1, process: str = EARLY) -> None:
    """What is published after a critical message is heard before it."""
    publish(told, ONE, place=URGENT)
    told.wait(later_ms)
    publish(told, TWO)
    hear(told, TWO)
    hear(told, ONE, attempt=attempt, process=process)


def heard_before_a_critical_one(told: Scribe) -> None:
    overtaken(told, later_ms=LATER_MS)


def heard_before_one_of_the_same_moment(told: Scribe) -> None:
    """A worker that shut down may have had the critical one, and given it back."""
    overtaken(told, later_ms=LATER_MS // 2)


def heard_before_a_second_delivery(told: Scribe) -> None:
    """The first had come in time."""
    overtaken(told, later_ms=LATER_MS, attempt=2)


def heard_by_others_before_a_critical_one(told: Scribe) -> None:
    """Each process has a line of its own, and may be slow."""
    overtaken(told, later_ms=LATER_MS, process=LATE)


def letters(told: Scribe, *heard: str) -> None:
    """A producer writes itself a critical letter, and later another; so it hears them."""
    publish(told, ONE, place=f"c{BOX}", receivers=1)
    told.wait(LATER_MS)
    publish(told, TWO, place=f"n{BOX}", receivers=1)
    for one in heard:
        hear(told, one, BOX, process="producer-0-1")


def a_critical_letter_heard_first(told: Scribe) -> None:
    letters(told, ONE, TWO)


def a_critical_letter_heard_last(told: Scribe) -> None:
    letters(told, TWO, ONE)


# -- to all ----------------------------------------------------------------------------------------


def to_all(told: Scribe, *ids: str, but: str = "") -> None:
    """Messages for all come, and a process hears each but one."""
    for message_id in ids:
        publish(told, message_id, place=ALL, receivers=6)
        if message_id != but:
            hear(told, message_id, f"{CHORUS}:{EARLY}")


def heard_by_all(told: Scribe) -> None:
    to_all(told, ONE, TWO, *NEWS)


def passed_over(told: Scribe) -> None:
    to_all(told, ONE, TWO, *NEWS[:2], but=TWO)
    told.wait(3 * HELD_MS)
    to_all(told, *NEWS[2:])


def passed_over_by_one_that_died_at_once(told: Scribe) -> None:
    """Perhaps the answer that had it was lost, and it would have come again."""
    to_all(told, ONE, TWO, *NEWS, but=TWO)


def not_heard_by_one_that_lived_on(told: Scribe) -> None:
    told.history.alive = frozenset({1})
    to_all(told, ONE, TWO, but=TWO)


def published_before_there_was_a_process(told: Scribe) -> None:
    to_all(told, ONE, TWO, *NEWS, but=ONE)
    told.wait(3 * HELD_MS)


# -- no more than there is room for ----------------------------------------------------------------


def crowd(told: Scribe, amount: int) -> None:
    """So many lie in the channel of the rush."""
    ids = [f"{A[:20]}{number:02}" for number in range(amount)]
    for message_id in ids:
        publish(told, message_id, place=CROWDED, receivers=1)
    for message_id in ids:
        hear(told, message_id, PORTER)


def as_many_as_there_is_room_for(told: Scribe) -> None:
    crowd(told, RUSH_MAX)


def more_than_there_is_room_for(told: Scribe) -> None:
    crowd(told, RUSH_MAX + 1)


# -- what groups count -----------------------------------------------------------------------------


def counted(told: Scribe, group: str = LEDGER, **figures: int) -> None:
    """Two messages were heard; this is what a group says of it."""
    news(told, ONE, TWO)
    given = dict.fromkeys(("taken", "handled"), 2) | {"again": 0, "dead": 0} | figures
    rest(told, figures={group: given})


def counted_rightly(told: Scribe) -> None:
    counted(told)


def acknowledged_twice(told: Scribe) -> None:
    counted(told, handled=3)


def gone_without_an_acknowledgement(told: Scribe) -> None:
    counted(told, handled=1)


def both_acknowledged_and_buried(told: Scribe) -> None:
    counted(told, dead=1)


def counted_as_given_out_again(told: Scribe) -> None:
    news(told, TWO)
    publish(told, ONE)
    hear(told, ONE, MIRROR)
    hear(told, ONE, LEDGER, attempt=4)
    figures = {"taken": 2, "again": 1, "handled": 2, "dead": 0}
    rest(told, figures={LEDGER: figures})


def taken_and_nobody_was_told(told: Scribe) -> None:
    """A producer was killed before it heard; the group has heard of it all the same."""
    counted(told, handled=3, taken=3)
    told.history.bus.tried.add(NEWS[0])
    hear(told, NEWS[0])


def turns_are_counted_by_who_hears_them(told: Scribe) -> None:
    """Also words of the system; not what one has said oneself."""
    said = ("bob", "ada", "")
    turns = [TurnLeft(at, who, NEWS[at], {}) for at, who in enumerate(said, 1)]
    for turn in turns[:2]:
        hear(told, turn.id, "@ada" if turn.speaker == "bob" else "@bob")
    figures = {"@ada": {"taken": 2, "again": 0, "handled": 2, "dead": 0}}
    rest(told, transcripts={f"{A[:18]}talk": turns}, figures=figures)


ALLOWED = [
    given_to_another_when_its_time_was_over,
    given_to_another_when_the_first_had_died,
    given_to_another_when_the_first_was_told_to_stop,
    heard_before_one_of_the_same_moment,
    heard_before_a_second_delivery,
    heard_by_others_before_a_critical_one,
    a_critical_letter_heard_first,
    heard_by_all,
    passed_over_by_one_that_died_at_once,
    published_before_there_was_a_process,
    as_many_as_there_is_room_for,
    counted_rightly,
    taken_and_nobody_was_told,
    turns_are_counted_by_who_hears_them,
]
FORBIDDEN: list[tuple[Tale, str]] = [
    (given_to_two, "shared"),
    (heard_before_a_critical_one, "lane"),
    (a_critical_letter_heard_last, "lane"),
    (passed_over, "message"),
    (not_heard_by_one_that_lived_on, "message"),
    (more_than_there_is_room_for, "bound"),
    (acknowledged_twice, "receipts"),
    (gone_without_an_acknowledgement, "receipts"),
    (both_acknowledged_and_buried, "receipts"),
    (counted_as_given_out_again, "receipts"),
]


def named(tell: object) -> str:
    """A tale as a sentence."""
    return getattr(tell, "__name__", str(tell)).replace("_", " ")


@pytest.mark.parametrize("tell", ALLOWED, ids=named)
def test_what_workers_may_be_given_is_not_complained_of(tell: Tale) -> None:
    """A stop, a death, a slow process: what nobody can prevent breaks no promise."""
    assert rules(tell) == set()


@pytest.mark.parametrize(("tell", "rule"), FORBIDDEN, ids=named)
def test_what_nobody_may_be_given_is_named(tell: Tale, rule: str) -> None:
    """By the rule that was broken, and by no other: that is where to look."""
    assert rules(tell) == {rule}


def test_after_a_failover_counts_say_nothing() -> None:
    """They are what survived of them."""
    scribe = Scribe()
    acknowledged_twice(scribe)
    scribe.history.rewound = {1: [(0, 1)]}

    assert check(scribe.history).violations == ()
