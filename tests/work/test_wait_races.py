"""Two who reach for a waiting task at once: one of them is first, and it is woken once.

Each round lets several clients act at the same moment, on connections of their own. Whoever comes
first, what is true afterwards is the same: the task goes on, what came of its wait is what the
first one brought, and nothing is left that could wake it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from threading import Barrier
from typing import Any

import pytest

from coordq.engine.connection import Engine, open_engine
from coordq.errors import Conflict
from coordq.work.claim import Claim
from coordq.work.finish import Finished, Outcome
from tests.work.desk import Desk
from tests.work.waiting_room import came, say, send, suspend, suspension, wait, waiter

ROUNDS = 20
Deed = Callable[[Desk], Any]
AtOnce = Callable[..., list[Any]]


@pytest.fixture
def at_once(redis_url: str, engine: Engine) -> Iterator[AtOnce]:
    """Lets deeds be done by as many clients, at the same moment; gives what each returned."""
    with ExitStack() as stack:
        desks = [
            Desk(stack.enter_context(open_engine(redis_url, namespace=engine.namespace)))
            for _ in range(4)
        ]
        pool = stack.enter_context(ThreadPoolExecutor(len(desks)))

        def run(*deeds: Deed) -> list[Any]:
            barrier = Barrier(len(deeds))

            def act(desk: Desk, deed: Deed) -> Any:
                barrier.wait(timeout=30)
                return deed(desk)

            return list(pool.map(act, desks, deeds))

        yield run


def refused(deed: Deed) -> Deed:
    """True when the deed came too late."""

    def act(desk: Desk) -> bool:
        try:
            deed(desk)
        except Conflict:
            return True
        return False

    return act


def finish_and_wait(desk: Desk, held: Claim) -> Finished:
    """A worker that sends two outcomes of one run: the first counts."""
    done = Outcome("succeeded", held.id, held.fence, b"1")
    return desk.finish(done, suspension(held, wait("approval")))


def test_an_answer_against_the_end_of_its_time(desk: Desk, at_once: AtOnce) -> None:
    """Either the person was in time, or is told not to have been."""
    for _ in range(ROUNDS):
        held = waiter(desk, wait("approval"), timeout_ms=60_000)
        desk.make_due(f"z{held.id}")

        late, _promoted = at_once(refused(partial(say, task_id=held.id)), Desk.promote)

        assert came(desk, held.id).get("error") == ("timeout" if late else None)
        assert desk.kinds(held.id).count("resumed") == 1
        desk.end(desk.take(served=("waiter",)))


def test_a_yes_against_a_no(desk: Desk, at_once: AtOnce) -> None:
    """Four people answer; one of them is heard."""
    for _ in range(ROUNDS):
        held = waiter(desk, wait("approval"))
        yes = refused(partial(say, task_id=held.id))
        no = refused(partial(say, task_id=held.id, approved=False))

        late = at_once(yes, no, yes, no)

        assert late.count(False) == 1
        assert came(desk, held.id).get("error") == (
            None if late.index(False) % 2 == 0 else "rejected"
        )
        desk.end(desk.take(served=("waiter",)))


@pytest.mark.parametrize("keep", [0, 60])
def test_a_signal_against_going_to_wait_for_it(desk: Desk, at_once: AtOnce, keep: float) -> None:
    """Kept it is heard whoever is first; else it is heard, or had come too early and is gone."""
    for number in range(ROUNDS):
        name = f"go{number}"
        held = desk.take_one(desk.put("waiter"))

        verdict, heard = at_once(
            partial(suspend, held=held, what=wait("signal", name=name)),
            partial(send, name=name, value=1, keep=keep, nonce=name),
        )

        assert verdict == "ok"
        woken = keep > 0 or heard.woken == 1
        assert desk.state(held.id) == ("ready" if woken else "suspended")
        if not woken:
            assert send(desk, name, 2, nonce=f"{name} again").woken == 1
        desk.end(desk.take(served=("waiter",)))


def test_two_signals_at_once_wake_each_waiter_once(desk: Desk, at_once: AtOnce) -> None:
    """It hears one of them; the other finds nobody."""
    for number in range(ROUNDS):
        held = [waiter(desk, wait("signal", name="go")) for _ in range(3)]

        heard = at_once(*(partial(send, name="go", nonce=f"{number}.{n}") for n in range(3)))

        assert sum(each.woken for each in heard) == len(held)
        for claim in desk.claim(3, served=("waiter",)).claims:
            assert desk.kinds(claim.id).count("resumed") == 1
            desk.end(claim)


def test_going_to_wait_against_the_end_of_the_last_child(desk: Desk, at_once: AtOnce) -> None:
    """Whoever is first, the end is not missed and not counted twice."""
    for _ in range(ROUNDS):
        children = [desk.take_one(desk.put("child")) for _ in range(3)]
        held = desk.take_one(desk.put("waiter"))
        what = wait("tasks", ids=tuple(one.id for one in children))

        at_once(
            partial(suspend, held=held, what=what),
            *(partial(Desk.end, held=child) for child in children),
        )

        assert (desk.state(held.id), came(desk, held.id)) == ("ready", {"value": None})
        desk.end(desk.take(served=("waiter",)))


def test_waiters_for_each_other_at_once(desk: Desk, at_once: AtOnce) -> None:
    """One of them closes the circle and fails; that wakes the others one after the other."""
    for _ in range(ROUNDS):
        held = [desk.take_one(desk.put("waiter")) for _ in range(3)]
        around = [*held[1:], held[0]]

        verdicts = at_once(
            *(
                partial(suspend, held=claim, what=wait("tasks", ids=(other.id,)))
                for claim, other in zip(held, around, strict=True)
            )
        )

        assert Counter(verdicts) == {"ok": 2, "would-cycle": 1}
        for _ in range(2):
            desk.end(desk.take(served=("waiter",)))
        assert Counter(desk.state(one.id) for one in held) == {"succeeded": 2, "failed": 1}


def test_a_cancel_against_everything_that_would_wake_it(desk: Desk, at_once: AtOnce) -> None:
    """It ends, or it is woken and ends then; never both at once."""
    for _ in range(ROUNDS):
        child = desk.take_one(desk.put("child"))
        held = waiter(desk, wait("tasks", ids=(child.id,)), timeout_ms=60_000)
        desk.make_due(f"z{held.id}")

        at_once(
            partial(Desk.cancel, task_id=held.id),
            partial(Desk.end, held=child),
            Desk.promote,
        )

        assert desk.state(held.id) == "cancelled"
        assert desk.kinds(held.id).count("resumed") <= 1
        assert desk.claim(served=("waiter",)).claims == ()


def test_a_lost_claim_against_its_heir(desk: Desk, at_once: AtOnce) -> None:
    """A worker that was given up for dead goes to wait while another runs the task."""
    for _ in range(ROUNDS):
        lost = desk.take_one(desk.put("waiter"))
        desk.lapse(lost)
        desk.reap()
        heir = desk.take(served=("waiter",))

        verdict, done = at_once(
            partial(suspend, held=lost, what=wait("approval")),
            partial(finish_and_wait, held=heir),
        )

        assert verdict == "stale"
        assert done.verdicts == ("ok", "duplicate")
        assert desk.state(heir.id) == "succeeded"
