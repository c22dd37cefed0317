"""The rule about limits: what a history proves of them, and what it does not.

`seats` has two slots for each key, `pace` eight starts a second.
"""

from __future__ import annotations

import pytest

from coordq.interfaces.chaos.history import Rest
from coordq.interfaces.chaos.load import LIMITS
from tests.chaos.scribe import A, Scribe, Tale, rules

SEATED, PACED = ("seats:1",), ("pace:1",)
SEATS: int = LIMITS["seats"]["concurrency"]
STARTS: int = LIMITS["pace"]["rate"][0]
ONE, TWO, THREE = IDS = [f"{A[:20]}{number:02}" for number in range(SEATS + 1)]


def start(told: Scribe, task_id: str, fence: int, *, version: int = 2) -> None:
    """A claim; its handler begins."""
    told.event(task_id, "running", version, fence)
    told.run(task_id, fence, "")


def end(told: Scribe, task_id: str, fence: int, kind: str = "succeeded", version: int = 3) -> None:
    """The handler ends, and its claim with it."""
    run_ends(told, task_id, fence)
    told.event(task_id, kind, version, fence, detail="as it was")


def run_ends(told: Scribe, task_id: str, fence: int) -> None:
    """The handler ends."""
    told.wait(1)
    run = told.history.runs[task_id, fence]
    run.how, run.ended_ms = "done", told.ms


def seated(told: Scribe, amount: int, *limits: str) -> None:
    """So many tasks are enqueued."""
    for task_id in IDS[:amount]:
        told.enqueue(task_id, limits=limits or SEATED)


def one_after_another(told: Scribe) -> None:
    seated(told, 3)
    start(told, ONE, 10)
    start(told, TWO, 11)
    end(told, ONE, 10)
    start(told, THREE, 12)
    end(told, TWO, 11)
    end(told, THREE, 12)


def of_several_keys(told: Scribe) -> None:
    for number, task_id in enumerate(IDS):
        told.enqueue(task_id, limits=(f"seats:{number}",))
    for fence, task_id in enumerate(IDS, 10):
        start(told, task_id, fence)
    for fence, task_id in enumerate(IDS, 10):
        end(told, task_id, fence)


def between_two_attempts(told: Scribe) -> None:
    """Who tries again later holds nothing meanwhile."""
    seated(told, 3)
    start(told, ONE, 10)
    start(told, TWO, 11)
    end(told, ONE, 10, "retrying")
    start(told, THREE, 12)
    end(told, TWO, 11)
    end(told, THREE, 12)
    told.event(ONE, "ready", 4, 10)
    start(told, ONE, 13, version=5)
    end(told, ONE, 13, version=6)


def an_old_run_goes_on(told: Scribe) -> None:
    """Stopped past its lease, its worker wakes when the task has long ended elsewhere."""
    seated(told, 3)
    start(told, ONE, 10)
    told.event(ONE, "lapsed", 3, 0, detail="10 worker-0.1-ab/0.1")
    start(told, ONE, 11, version=4)
    end(told, ONE, 11, version=5)
    start(told, TWO, 12)
    start(told, THREE, 13)
    run_ends(told, ONE, 10)
    told.event(ONE, "refused", 6, 11, detail="10")
    end(told, TWO, 12)
    end(told, THREE, 13)


def paced(told: Scribe, amount: int, *, after_ms: int) -> None:
    """So many start at once, and one more after a while."""
    ids = [f"{A[:20]}{number:02}" for number in range(amount + 1)]
    for number, task_id in enumerate(ids):
        told.enqueue(task_id, limits=PACED)
        told.wait(after_ms if number == amount else 0)
        told.succeed(task_id, told.ms * 1000)


def given_back_at_no_cost(told: Scribe) -> None:
    """What was released has paid."""
    paced(told, STARTS - 1, after_ms=0)
    last = f"{A[:20]}{STARTS - 1:02}"
    fence = told.history.events[0].pop().fence
    told.event(last, "released", 3, fence)
    told.succeed(last, told.ms * 1000, version=4)


@pytest.mark.parametrize(
    "tell",
    [
        one_after_another,
        of_several_keys,
        between_two_attempts,
        an_old_run_goes_on,
        lambda told: paced(told, STARTS, after_ms=1000),
        given_back_at_no_cost,
    ],
    ids=[
        "one after another",
        "keys have slots of their own",
        "between two attempts",
        "an old run goes on",
        "a pace kept",
        "given back at no cost",
    ],
)
def test_what_a_limit_allows_is_not_complained_of(tell: Tale) -> None:
    """A run that nobody can prevent is no slot that somebody holds."""
    assert rules(tell) == set()


def one_too_many(told: Scribe) -> None:
    seated(told, 3)
    for fence, task_id in enumerate(IDS, 10):
        start(told, task_id, fence)
    for fence, task_id in enumerate(IDS, 10):
        end(told, task_id, fence)


def a_slot_given_away_after_a_crash(told: Scribe) -> None:
    """The task that crashed must run again at once, and then they are three."""
    seated(told, 3)
    start(told, ONE, 10)
    start(told, TWO, 11)
    told.event(ONE, "crashed", 3, 0, detail="10 worker-0.1-ab/0.1")
    start(told, THREE, 12)
    end(told, TWO, 11)
    end(told, THREE, 12)
    start(told, ONE, 13, version=4)
    end(told, ONE, 13, version=5)


def ran_at_once_whatever_the_stream_says(told: Scribe) -> None:
    """The journals are a witness of their own."""
    one_after_another(told)
    told.history.runs[ONE, 10].began_ms -= 1
    told.history.runs[THREE, 12].began_ms = told.history.runs[ONE, 10].began_ms


def a_slot_kept(told: Scribe) -> None:
    one_after_another(told)
    told.history.rest = Rest(seats={"seats:1": [ONE]})


def parked_for_ever(told: Scribe) -> None:
    one_after_another(told)
    told.history.rest = Rest(parked={"seats:1": [TWO]})


@pytest.mark.parametrize(
    "tell",
    [
        one_too_many,
        a_slot_given_away_after_a_crash,
        ran_at_once_whatever_the_stream_says,
        a_slot_kept,
        parked_for_ever,
        lambda told: paced(told, STARTS, after_ms=900),
    ],
    ids=[
        "one too many",
        "a slot given away after a crash",
        "ran at once, whatever the stream says",
        "a slot kept",
        "parked for ever",
        "a pace too fast",
    ],
)
def test_what_a_limit_forbids_is_named(tell: Tale) -> None:
    """Also when every task by itself did right."""
    assert rules(tell) == {"limit"}
