"""What was not handled comes again, so often; then it is a dead letter. In order, if asked for."""

from __future__ import annotations

import pytest

from coordq.bus.dead import revive
from coordq.bus.group import unsubscribe
from coordq.bus.take import hold
from tests.bus.office import Office
from tests.waiting import wait_until

pytestmark = pytest.mark.live


# -- giving back -------------------------------------------------------------------------------


def test_what_is_given_back_comes_again_after_its_delay(office: Office) -> None:
    """Not before, and the reader is told when."""
    office.group("g", "t.*")
    office.post("t.x", 1)
    office.settle("n", *office.take("g").given, delay_ms=60_000)

    taken = office.take("g", reader="r2")
    assert taken.given == ()
    assert 0 < (taken.next_due_ms or 0) <= 60_000
    office.pass_time(60_000)

    assert [each.attempt for each in office.take("g", reader="r2").given] == [2]


def test_only_the_holder_can_give_back(office: Office) -> None:
    """A reader that was too slow disturbs nobody."""
    office.group("g", "t.*")
    office.post("t.x", 1)
    (slow,) = office.take("g", reader="slow").given
    office.pass_time(31_000)
    office.take("g", reader="quick")

    office.settle("n", slow, reader="slow", delay_ms=0)
    office.settle("d", slow, reader="slow", reason="no")

    assert office.bodies("g", reader="third") == []
    assert office.dead() == []


@pytest.mark.parametrize("verdict", ["n", "r", "d"])
def test_a_delivery_that_is_over_gives_back_no_later_one(office: Office, verdict: str) -> None:
    """Who was stopped past the visibility may be given its own message again while it handles it.

    What becomes of the first try says nothing about the second, which is still at work. Given back
    by the first, without counting, the message came a third time as the second delivery.
    """
    office.group("g", "t.*")
    office.post("t.x", 1)
    (first,) = office.take("g").given
    office.pass_time(31_000)
    (second,) = office.take("g").given

    office.settle(verdict, first, delay_ms=0, reason="over")

    assert office.take("g").given == ()
    assert office.dead() == []
    office.settle(verdict, second, delay_ms=0, reason="over")
    again = [each.attempt for each in office.take("g").given]
    assert (again, len(office.dead())) == {"n": ([3], 0), "r": ([2], 0), "d": ([], 1)}[verdict]


def test_what_was_never_handled_does_not_count_as_delivered(office: Office) -> None:
    """A reader that ends gives back what it had taken in advance."""
    office.group("g", "t.*", max_deliveries=1)
    office.post("t.x", 1)
    office.settle("r", *office.take("g").given)

    (given,) = office.take("g", reader="r2").given

    assert given.attempt == 1


def test_what_nobody_acknowledges_comes_again(office: Office) -> None:
    """After the visibility time, to whoever asks."""
    office.group("g", "t.*", visibility=500)
    office.post("t.x", 1)
    office.take("g", reader="r1")
    assert office.take("g", reader="r2").given == ()
    office.pass_time(500_000)

    assert [each.attempt for each in office.take("g", reader="r2").given] == [2]


def test_a_handler_at_work_keeps_its_message(office: Office) -> None:
    """And its count of deliveries."""
    office.group("g", "t.*", visibility=500)
    office.post("t.x", 1)
    (given,) = office.take("g").given
    office.pass_time(400_000)
    assert office.run(hold(0, "r1", [given])) == 1
    office.pass_time(400_000)
    assert office.take("g", reader="r2").given == ()
    office.pass_time(200_000)

    assert [each.attempt for each in office.take("g", reader="r2").given] == [2]
    assert office.run(hold(0, "r1", [given])) == 0


def test_a_restarted_reader_is_given_what_it_held(office: Office) -> None:
    """At once, and the others' messages stay with them."""
    office.group("g", "t.*")
    office.post("t.x", 1, 2)
    office.take("g", want=1, reader="w1/1")
    office.take("g", want=1, reader="w2/1")

    taken = office.take("g", reader="w1/1", join=True)

    assert [(each.message().body, each.attempt) for each in taken.given] == [(1, 2)]


def test_what_was_given_back_with_a_delay_waits_through_a_restart(office: Office) -> None:
    """A restart is no reason to hurry."""
    office.group("g", "t.*")
    office.post("t.x", 1)
    office.settle("n", *office.take("g").given, delay_ms=60_000)

    assert office.take("g", join=True).given == ()


# -- dead letters ------------------------------------------------------------------------------


def test_too_many_deliveries_make_a_dead_letter(office: Office) -> None:
    """With what it says, and how often it was tried."""
    office.group("g", "t.*", max_deliveries=2)
    office.post("t.x", {"n": 1})
    for _ in range(2):
        office.take("g")
        office.pass_time(31_000)

    assert office.take("g").given == ()
    (letter,) = office.dead()
    assert (letter.group, letter.channel, letter.reason, letter.deliveries) == (
        "g",
        "t.x",
        "too many deliveries",
        2,
    )
    assert letter.message().body == {"n": 1}
    assert office.entries("t.x") == 0


def test_the_last_nack_says_why(office: Office) -> None:
    """Nobody has to wait for another delivery to learn it."""
    office.group("g", "t.*", max_deliveries=1)
    office.post("t.x", 1)

    office.settle("n", *office.take("g").given, delay_ms=60_000, reason="no such file")

    assert [letter.reason for letter in office.dead()] == ["no such file"]


def test_a_rejected_message_is_a_dead_letter_of_its_group_only(office: Office) -> None:
    """The others may like it."""
    office.group("a", "t.*")
    office.group("b", "t.*")
    office.post("t.x", 1)

    office.settle("d", *office.take("a").given, reason="not for me")

    assert [(letter.group, letter.reason) for letter in office.dead()] == [("a", "not for me")]
    assert office.bodies("b") == [1]


def test_an_expired_message_is_given_to_nobody(office: Office) -> None:
    """Neither at first nor again."""
    office.group("g", "t.*")
    office.post("t.x", "brief", expires=0.001)
    office.post("t.x", "lasting")
    first = office.now_ms()
    wait_until(lambda: office.now_ms() > first + 2)

    assert office.bodies("g") == ["lasting"]
    assert [letter.reason for letter in office.dead()] == ["expired"]


def test_a_message_that_expires_while_it_is_held_does_not_come_again(office: Office) -> None:
    """Whoever holds it may finish."""
    office.group("g", "t.*")
    office.post("t.x", 1, expires=3)
    (given,) = office.take("g").given
    wait_until(lambda: office.now_ms() > given.expires_ms)
    office.pass_time(31_000)

    assert office.take("g").given == ()
    assert [letter.reason for letter in office.dead()] == ["expired"]


def test_a_revived_letter_goes_to_its_own_group(office: Office) -> None:
    """Under its old topic, from its first attempt on; the other group has had it."""
    office.group("a", "t.*")
    office.group("b", "t.*")
    office.post("t.x", "again", priority="critical")
    office.settle("d", *office.take("a").given, reason="no")
    office.ack(*office.take("b").given)
    (letter,) = office.dead()

    revived = office.run(revive(0, [letter.id.partition("/")[2]], nonce="once"))

    assert revived == 1
    (given,) = office.take("a", "b").given
    message = given.message()
    assert (given.group, message.channel, message.body) == ("a", "t.x", "again")
    assert (message.priority, message.attempt) == ("critical", 1)
    assert office.dead() == []


def test_a_letter_whose_group_has_gone_stays(office: Office) -> None:
    """There is nobody to give it to."""
    office.group("a", "t.*")
    office.post("t.x", 1)
    office.settle("d", *office.take("a").given, reason="no")
    office.run(unsubscribe(0, "a"))
    (letter,) = office.dead()

    assert office.run(revive(0, [letter.id.partition("/")[2]], nonce="once")) == 0
    assert office.dead() == [letter]


# -- in order ----------------------------------------------------------------------------------


def test_an_ordered_group_has_one_message_of_a_topic_at_a_time(office: Office) -> None:
    """The next comes when it is acknowledged, to whoever asks; other topics go on."""
    office.group("g", "t.*", ordered=True)
    office.post("t.a", 1, 2)
    office.post("t.b", 3)

    first = office.take("g", reader="r1").given
    assert sorted(each.message().body for each in first) == [1, 3]
    assert office.take("g", reader="r2").given == ()
    office.ack(*first)

    assert office.bodies("g", reader="r2") == [2]


def test_an_ordered_group_does_not_overtake_what_it_gave_back(office: Office) -> None:
    """Order holds through failures, too."""
    office.group("g", "t.*", ordered=True)
    office.post("t.a", 1, 2)
    office.settle("n", *office.take("g").given, delay_ms=60_000)
    assert office.take("g").given == ()
    office.pass_time(60_000)

    (again,) = office.take("g").given

    assert again.message().body == 1
    office.settle("d", again, reason="hopeless")
    assert office.bodies("g") == [2]
