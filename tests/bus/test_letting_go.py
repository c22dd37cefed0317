"""What every group has done with goes from its stream, in bulk if it can, and nothing else does."""

from __future__ import annotations

import pytest

from coordq.bus.take import take
from tests.bus.office import Office, nonce

pytestmark = pytest.mark.live
TOPIC = "orders.created"
MANY = 60
"""Several nodes of a stream, and enough for them to be cut off as wholes."""


def test_an_older_message_that_is_held_outlasts_all_that_came_after_it(office: Office) -> None:
    """Its neighbours go, also those before it."""
    office.group("a", TOPIC)
    office.post(TOPIC, *range(MANY))
    given = office.take("a", want=MANY).given

    office.ack(*given[:7], *given[8:])

    assert office.entries(TOPIC) == 1
    office.ack(given[7])
    assert office.entries(TOPIC) == 0


def test_what_was_not_given_out_yet_outlasts_what_was(office: Office) -> None:
    """The cut is behind the last that was acknowledged."""
    office.group("a", TOPIC)
    office.post(TOPIC, *range(MANY))

    office.ack(*office.take("a", want=20).given)

    assert office.entries(TOPIC) == MANY - 20
    assert office.bodies("a", want=MANY) == list(range(20, MANY))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_batches_go_in_whatever_order_they_are_acknowledged(
    office: Office, order: tuple[int, ...]
) -> None:
    """Readers of a group are not equally fast."""
    office.group("a", TOPIC)
    office.post(TOPIC, *range(MANY))
    batches = [office.take("a", want=20, reader=f"r{number}").given for number in range(3)]

    for number, at in enumerate(order):
        office.ack(*reversed(batches[at]), reader=f"r{at}")
        assert office.entries(TOPIC) == MANY - 20 * (number + 1)
        office.audit()


def test_what_was_given_back_outlasts_its_neighbours(office: Office) -> None:
    """It comes again, alone."""
    office.group("a", TOPIC)
    office.post(TOPIC, *range(MANY))
    given = office.take("a", want=MANY).given
    office.settle("n", given[30])

    office.ack(*given[:30], *given[31:])

    assert office.entries(TOPIC) == 1
    assert office.bodies("a") == [30]


def test_what_is_owed_to_one_group_outlasts_what_another_acknowledges(office: Office) -> None:
    """A group that came later has nothing in front of its own, and is not the only one."""
    office.group("a", TOPIC)
    office.post(TOPIC, *range(MANY))
    older = office.take("a", want=MANY).given
    office.group("b", TOPIC)
    office.post(TOPIC, *range(20))
    office.ack(*office.take("a").given)

    office.ack(*office.take("b").given)

    assert office.entries(TOPIC) == MANY
    office.ack(*older)
    assert office.entries(TOPIC) == 0


def test_what_two_groups_share_goes_when_both_have_done_with_it(office: Office) -> None:
    """Neither of them may cut off what the other holds."""
    office.group("a", TOPIC)
    office.group("b", TOPIC)
    office.post(TOPIC, *range(MANY))
    office.ack(*office.take("a", want=MANY).given)

    assert office.entries(TOPIC) == MANY
    office.ack(*office.take("b", want=MANY).given)
    assert office.entries(TOPIC) == 0


def test_a_batch_whose_answer_was_lost_is_given_again_as_it_was(office: Office) -> None:
    """By where it begins and ends; what others took, and what was settled since, is not in it."""
    office.group("a", TOPIC)
    office.post(TOPIC, *range(MANY))
    call = take(office.shard, "r1", ["a"], want=20, nonce=nonce())
    first = office.run(call).given
    others = office.bodies("a", want=20, reader="r2")
    office.ack(first[3], reader="r9")

    again = office.run(call).given

    assert others == list(range(20, 40))
    assert again == (*first[:3], *first[4:])


def test_an_acknowledgement_that_comes_twice_counts_once(office: Office) -> None:
    """Also when only some of a batch were acknowledged before."""
    office.group("a", TOPIC)
    office.post(TOPIC, *range(MANY))
    given = office.take("a", want=40).given
    office.ack(*given[10:30])

    office.ack(*given)
    office.ack(*given)

    assert office.figures("a")["handled"] == 40
    assert office.entries(TOPIC) == MANY - 40
