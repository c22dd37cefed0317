"""why: one sentence for every cause that keeps a task from running."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coordq.work.why import span, why
from tests.work.desk import Desk, error

AGENT = {"name": "a", "role": "reader", "capabilities": ["http"], "tasks": ["job"]}


def alive(desk: Desk, name: str = "w1", **info: Any) -> None:
    """A worker beats."""
    said = {"queues": ["default"], "slots": 4, "running": 0, "state": "running", "agents": [AGENT]}
    desk.beat(worker=name, info=json.dumps(said | info).encode())


def because(desk: Desk, task_id: str) -> str:
    """The sentence."""
    return why(desk.glance(task_id), desk.overview().workers)


# -- ready -------------------------------------------------------------------------------------


def test_its_queue_is_paused(desk: Desk) -> None:
    """With the command that helps."""
    task_id = desk.put()
    alive(desk)
    desk.configure(paused=True)

    assert because(desk, task_id) == (
        "Queue 'default' is paused. Resume it with `coordq queue resume default`."
    )


def test_no_worker_is_alive(desk: Desk) -> None:
    """The commonest cause of all."""
    assert "No worker is alive" in because(desk, desk.put())


def test_no_worker_serves_its_queue(desk: Desk) -> None:
    """And which queues are served."""
    alive(desk, queues=["mail", "default2"])

    sentence = because(desk, desk.put())

    assert "No live worker serves queue 'default'" in sentence
    assert "default2, mail" in sentence


def test_no_worker_knows_its_name(desk: Desk) -> None:
    """And which names they know."""
    alive(desk)

    sentence = because(desk, desk.put("jobb"))

    assert "knows a task named 'jobb'" in sentence
    assert sentence.endswith("they know job.")


@pytest.mark.parametrize("task", ["coordq.expand", "coordq.synthesize"])
def test_every_worker_can_do_what_is_coordqs_own(desk: Desk, task: str) -> None:
    """No agent has that task, so it is in no list of what workers know."""
    alive(desk)

    sentence = because(desk, desk.put(task))

    assert sentence.startswith("It waits its turn: it is the next in its line")


def test_no_agent_meets_its_requirements(desk: Desk) -> None:
    """Role, capabilities, or both."""
    alive(desk)

    sentence = because(desk, desk.put(role="writer", capabilities=("gpu",)))

    assert "has the role 'writer' and has all of the capabilities gpu" in sentence


def test_workers_that_could_are_draining(desk: Desk) -> None:
    """They take nothing new."""
    alive(desk, state="draining")

    assert "draining" in because(desk, desk.put())


def test_it_is_next(desk: Desk) -> None:
    """And how busy those are that can do it."""
    alive(desk, running=4)

    sentence = because(desk, desk.put())

    assert "it is the next in its line" in sentence
    assert "4 of 4 slots of the 1 workers that can do it are busy" in sentence


def test_it_waits_its_turn(desk: Desk) -> None:
    """Behind others."""
    alive(desk)
    for _ in range(3):
        desk.put()

    sentence = because(desk, desk.put())

    assert "3 tasks stand before it in its line, 4 are ready in 'default'" in sentence


def test_workers_that_meet_its_requirements_are_counted(desk: Desk) -> None:
    """Only those."""
    alive(desk, "w1")
    alive(desk, "w2", agents=[{**AGENT, "role": "writer"}])

    assert "of the 1 workers" in because(desk, desk.put(role="reader", capabilities=("http",)))


# -- scheduled ---------------------------------------------------------------------------------


def test_it_is_scheduled(desk: Desk) -> None:
    """And for when."""
    seen = desk.glance(desk.put(delay=90.5))
    left = seen.task.due_in_ms or 0

    assert 0 < left <= 90_500
    assert why(seen, []) == f"It is scheduled: it becomes ready in {span(left)}."


def test_it_is_due(desk: Desk) -> None:
    """Nobody has claimed since."""
    task_id = desk.put(delay=60)
    desk.make_due(task_id)

    assert because(desk, task_id).endswith("it becomes ready now, at the next claim.")


def test_it_is_tried_again(desk: Desk) -> None:
    """After which error."""
    task_id = desk.put(max_attempts=5)
    desk.end(desk.take(), "retry", error(message="flaky"), delay_ms=30_000)

    sentence = because(desk, task_id)

    assert sentence.startswith("Attempt 1 of 5 failed (Boom: flaky); it is tried again in ")


# -- running -----------------------------------------------------------------------------------


def test_it_is_running(desk: Desk) -> None:
    """Where, and for how long it is safe."""
    task_id = desk.put()
    desk.take()

    assert because(desk, task_id).startswith("It is running on w1/1, attempt 1; lease: ")


def test_it_was_asked_to_stop(desk: Desk) -> None:
    """But runs still."""
    task_id = desk.put()
    desk.take()
    desk.cancel(task_id)

    assert because(desk, task_id).endswith("It was asked to stop.")


def test_its_lease_has_lapsed(desk: Desk) -> None:
    """It goes back as soon as somebody reaps."""
    task_id = desk.put()
    desk.lapse(desk.take(), ago_ms=2000)

    seen = desk.glance(task_id)
    left = seen.task.lease_left_ms or 0

    assert left <= -2000
    assert why(seen, []).startswith(f"The lease of w1/1 lapsed {span(-left)} ago")


def test_its_lease_is_gone(desk: Desk) -> None:
    """Somebody removed it by hand."""
    task_id = desk.put()
    desk.redis("ZREM", desk.key("lease"), desk.take().member)

    assert "no lease is held" in because(desk, task_id)
    desk.audited = False


# -- ended -------------------------------------------------------------------------------------


def test_it_has_succeeded(desk: Desk) -> None:
    """At which attempt."""
    task_id = desk.put()
    desk.end(desk.take())

    assert because(desk, task_id) == "It has run: it succeeded at attempt 1."


@pytest.mark.parametrize("reason", ["rejected", "poison", "expired"])
def test_it_is_a_dead_letter(desk: Desk, reason: str) -> None:
    """Why, and how to revive it."""
    task_id = desk.put()
    desk.end(desk.take(), "failed", error(reason))

    sentence = because(desk, task_id)

    assert sentence.startswith(f"It is a dead letter ({reason}) after 1 of 3 attempts")
    assert f"coordq dead revive {task_id}" in sentence


def test_it_was_cancelled(desk: Desk) -> None:
    """And why."""
    task_id = desk.put()
    desk.cancel(task_id, "not needed")

    assert because(desk, task_id) == "It was cancelled: not needed."


# -- oddities ----------------------------------------------------------------------------------


def test_strange_workers_do_not_spoil_the_answer(desk: Desk) -> None:
    """Info is JSON that anybody may have written."""
    for n, info in enumerate(({}, {"agents": 7}, {"queues": ["default"], "agents": [{}]})):
        desk.beat(worker=f"w{n}", info=json.dumps(info).encode())

    assert "knows a task named 'job': they know none" in because(desk, desk.put())


def test_every_answer_is_one_line(desk: Desk) -> None:
    """It is printed as it is."""
    task_id = desk.put()
    desk.end(desk.take(), "failed", error(message="line one\nline two"))

    assert "\n" not in because(desk, task_id)


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "0 ms"), (999, "999 ms"), (1500, "1.5 s"), (90_500, "0:01:30"), (3_600_000, "1:00:00")],
)
def test_spans_read_as_people_say_them(ms: int, text: str) -> None:
    """Not as a number of milliseconds."""
    assert span(ms) == text


# -- tenants -----------------------------------------------------------------------------------


def test_its_tenant_waits_for_its_turn(desk: Desk) -> None:
    """Which share it has, who comes before it, and how many tasks start first."""
    alive(desk)
    for _ in range(9):
        desk.put(tenant="megacorp")
    for _ in range(3):
        last = desk.put(tenant="bakery")

    sentence = because(desk, last)

    assert "2 tasks stand before it in its line" in sentence
    assert (
        "Tenant 'bakery' has 50% of the turns, with the weight 1 among 2 tenants, 1 of them "
        "before it; about 5 tasks start first."
    ) in sentence


def test_its_tenant_is_alone(desk: Desk) -> None:
    """Nothing of a share need be said."""
    alive(desk)

    assert because(desk, desk.put(tenant="bakery")).endswith(
        "Of the tenants only 'bakery' waits there."
    )
