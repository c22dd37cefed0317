"""work/forward: what is due becomes ready, also when nobody claims."""

from __future__ import annotations

import pytest

from coordq.errors import Deposed
from coordq.work.due import Forwarded, forward
from tests.work.desk import Desk


def test_a_due_task_becomes_ready_without_a_claim(desk: Desk) -> None:
    """All workers may be busy, or gone: who looks sees it ready, and one that waits is woken."""
    task_id = desk.put(delay=60)
    desk.make_due(task_id)
    desk.redis("DEL", desk.key("marker:default:job"))

    assert desk.run(forward(0)) == Forwarded(1, None)
    assert (desk.state(task_id), desk.marks()) == ("ready", 1)


def test_it_says_when_the_next_moment_comes(desk: Desk) -> None:
    """So that whoever calls can come back just then."""
    desk.put(delay=60)

    done = desk.run(forward(0))

    assert done.amount == 0
    assert 30_000 < done.due_in_ms <= 60_000


def test_what_waited_too_long_becomes_a_dead_letter(desk: Desk) -> None:
    """A queue timeout counts also while no worker is there: above all then."""
    task_id = desk.put(expires=30)
    desk.make_due(f"x{task_id}")

    desk.run(forward(0))

    assert (desk.state(task_id), desk.task(task_id).reason) == ("failed", "expired")


def test_many_due_tasks_take_several_calls(desk: Desk) -> None:
    """A hundred a call; when there are more, the next is due at once."""
    ids = [desk.put(delay=60) for _ in range(130)]
    desk.make_due(*ids)

    first, second = desk.run(forward(0)), desk.run(forward(0))

    assert (first, second) == (Forwarded(100, 0), Forwarded(30, None))


def test_a_deposed_leader_forwards_nothing(desk: Desk) -> None:
    """Not even what is due: the new leader does, and every claim."""
    desk.make_due(desk.put(delay=60))
    desk.redis("SET", desk.key("epoch"), 8)
    before = desk.dump()

    with pytest.raises(Deposed):
        desk.run(forward(0, epoch=7))

    assert desk.dump() == before
