"""Messages reach every group that asks for them, and one reader of each."""

from __future__ import annotations

import pytest

from coordq.bus.group import Group, subscribe
from coordq.bus.publish import Posted
from coordq.bus.take import gather
from coordq.engine import bus_keys
from tests.bus.office import Office

pytestmark = pytest.mark.live


# -- who hears what ----------------------------------------------------------------------------


def test_a_message_reaches_each_group_once(office: Office) -> None:
    """Groups share nothing; readers of a group share its messages."""
    office.group("a", "orders.*")
    office.group("b", "orders.created")
    office.group("c", "invoices.**")

    posted = office.post("orders.created", 1, 2)

    assert [each.receivers for each in posted] == [2, 2]
    assert office.bodies("a", want=1, reader="r1") == [1]
    assert office.bodies("a", reader="r2") == [2]
    assert office.bodies("b") == [1, 2]
    assert office.bodies("c") == []


def test_many_messages_at_once_are_held_and_nothing_else_is(office: Office) -> None:
    """A set that grows by many at a time is made fit for it, which leaves no trace."""
    office.group("a", "orders.*")
    office.post("orders.created", *range(60))

    taken = office.take("a", want=60)

    held = office.redis("ZCARD", bus_keys.held(office.root, "a"))
    assert held == len(taken.given) == 60
    office.ack(*taken.given)
    assert office.entries("orders.created") == 0


def test_a_topic_that_nobody_asks_for_is_not_kept(office: Office) -> None:
    """Not its messages, and not its name."""
    before = set(office.names())

    (posted,) = office.post("orders.created", 1)

    assert posted.receivers == 0
    assert {name for name in office.names() if ":sent:" not in name} == before


def test_an_unknown_agent_has_no_mailbox(office: Office) -> None:
    """The sender learns of it; the others of its call are delivered."""
    office.group("@ada")

    (unknown,) = office.post("@bob", 1)
    (known,) = office.post("@ada", 2)

    assert unknown.unknown
    assert known == Posted(known.id, 1)
    assert office.bodies("@ada") == [2]


def test_a_broadcast_reaches_every_mailbox(office: Office) -> None:
    """Also those that were made after the first broadcast; groups of topics do not hear it."""
    office.group("@ada")
    office.group("listeners", "**")
    office.post("*", "first")
    office.group("@bob", "news.*")

    (posted,) = office.post("*", "second")

    assert posted.receivers == 2
    assert office.bodies("@ada") == ["first", "second"]
    assert office.bodies("@bob") == ["second"]
    assert office.bodies("listeners") == []


def test_a_group_begins_with_what_comes_after_it(office: Office) -> None:
    """Nothing that was published between its making and its first reading is lost."""
    office.group("early", "t.*")
    office.post("t.x", 1)
    office.group("late", "t.x")
    office.post("t.x", 2)

    assert office.bodies("late") == [2]
    assert office.bodies("early") == [1, 2]


def test_new_patterns_count_from_now_on(office: Office) -> None:
    """A group that is changed keeps what it has not read."""
    office.group("g", "a.*")
    office.post("a.x", 1)
    office.group("g", "b.*")
    assert office.post("a.x", 2)[0].receivers == 0
    assert office.post("b.x", 3)[0].receivers == 1

    assert sorted(office.bodies("g")) == [1, 3]


def test_a_group_that_exists_may_be_left_as_it_is(office: Office) -> None:
    """Who merely reads does not change what was asked for."""
    office.group("g", "a.*")

    assert office.run(subscribe(0, Group("g"), only_new=True)) is False
    assert office.post("a.x", 1)[0].receivers == 1


# -- lanes and turns ---------------------------------------------------------------------------


def test_critical_overtakes_normal_overtakes_low(office: Office) -> None:
    """Whatever came first, and in whatever topic."""
    office.group("g", "t.*")
    office.post("t.a", "low", priority="low")
    office.post("t.b", "normal")
    office.post("t.c", "critical", priority="critical")

    assert office.bodies("g") == ["critical", "normal", "low"]


def test_critical_overtakes_what_comes_again(office: Office) -> None:
    """A mass of redeliveries does not stand before it."""
    office.group("g", "t.*")
    office.post("t.a", *range(10))
    office.settle("n", *office.take("g").given, delay_ms=0)
    office.post("t.b", "critical", priority="critical")

    assert office.bodies("g", want=3) == ["critical", 0, 1]


def test_topics_take_turns(office: Office) -> None:
    """A flood on one topic does not keep another waiting."""
    office.group("g", "t.*")
    office.post("t.flood", *["flood"] * 200)
    office.post("t.drop", "drop")

    assert "drop" in office.bodies("g", want=64)


def test_messages_of_a_topic_keep_their_order(office: Office) -> None:
    """Within a priority, across calls."""
    office.group("g", "t.*")
    office.post("t.a", *range(50))
    office.post("t.a", *range(50, 100))

    assert office.bodies("g", want=70) + office.bodies("g") == list(range(100))


def test_several_groups_are_read_in_one_call(office: Office) -> None:
    """As a worker with many agents does."""
    for agent in ("ada", "bob", "eve"):
        office.group(f"@{agent}")
        office.post(f"@{agent}", agent)

    given = office.take("@ada", "@bob", "@eve").given

    assert {(each.group, each.message().body) for each in given} == {
        ("@ada", "ada"),
        ("@bob", "bob"),
        ("@eve", "eve"),
    }


def test_who_is_given_less_than_there_is_hears_of_more(office: Office) -> None:
    """And leaves a mark for another reader."""
    office.group("g", "t.*")
    office.post("t.a", 1, 2, 3)
    office.redis("DEL", bus_keys.marker(office.root, "g"))

    taken = office.take("g", want=2)

    assert taken.more
    assert office.redis("ZCARD", bus_keys.marker(office.root, "g")) == 1
    assert not office.take("g").more


def test_a_group_that_is_not_there_is_named(office: Office) -> None:
    """Its reader can make it again."""
    office.group("g", "t.*")

    assert office.take("gone", "g").missing == ("gone",)


# -- acknowledging -----------------------------------------------------------------------------


def test_what_all_have_acknowledged_is_gone(office: Office) -> None:
    """And not before."""
    office.group("a", "t.*")
    office.group("b", "t.*")
    office.post("t.x", 1, 2)
    first, second = office.take("a").given
    office.ack(first, second)
    assert office.entries("t.x") == 2

    office.ack(office.take("b").given[0])

    assert office.entries("t.x") == 1


def test_an_ack_and_the_next_take_are_one_call(office: Office) -> None:
    """That is what makes a reader fast."""
    office.group("g", "t.*")
    office.post("t.x", 1, 2)
    first = office.take("g", want=1).given

    second = office.take("g", settled=gather("a", first)).given

    assert [each.message().body for each in second] == [2]
    assert office.entries("t.x") == 1


def test_a_late_ack_counts_once(office: Office) -> None:
    """The message was given to another by then; nobody is given it a third time."""
    office.group("g", "t.*")
    office.post("t.x", 1)
    (slow,) = office.take("g", reader="slow").given
    office.pass_time(31_000)
    (again,) = office.take("g", reader="quick").given
    assert again.attempt == 2

    office.ack(slow, reader="slow")
    office.ack(again, reader="quick")

    assert office.figures("g")["handled"] == 1
    assert office.entries("t.x") == 0
    office.pass_time(100_000)
    assert office.bodies("g") == []


def test_the_same_ack_twice_in_a_call_counts_once(office: Office) -> None:
    """Also when other groups have still to read it."""
    office.group("a", "t.*")
    office.group("b", "t.*")
    office.post("t.x", 1)
    (given,) = office.take("a").given

    office.ack(given, given, given)

    assert office.figures("a")["handled"] == 1
    assert office.bodies("b") == [1]
