"""work/look, work/list and work/overview: what there is to see; looking changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from coordq.errors import ForeignData, TaskNotFound
from coordq.ids import new_id
from coordq.work.enqueue import Order
from coordq.work.flow.calls import depend
from coordq.work.flow.plan import Edge
from coordq.work.look import glance, page
from coordq.work.queue import merge
from coordq.work.report import report
from coordq.work.task import State
from tests.work.desk import Desk, bulk, order
from tests.work.flows import Flows, node


def ids(desk: Desk, state: State, **where: Any) -> list[str]:
    """Ids of a page."""
    return [task.id for task in desk.run(page(0, state, **where)).tasks]


def test_a_look_changes_nothing(desk: Desk) -> None:
    """Not a byte."""
    desk.put(delay=60)
    task_id = desk.put()
    desk.take()
    before = desk.dump()

    desk.glance(task_id)
    desk.overview()
    for state in (State.READY, State.RUNNING, State.SCHEDULED, State.FAILED, State.SUCCEEDED):
        ids(desk, state)

    assert desk.dump() == before


def test_a_ready_task_knows_its_place(desk: Desk) -> None:
    """How many stand before it in its line."""
    places = [desk.task(each.id).position for each in place(desk, 5)]

    assert places == [0, 1, 2, 3, 4]


def place(desk: Desk, amount: int) -> list[Order]:
    """Enqueue several in one call."""
    orders = bulk(amount)
    desk.place_all(orders)
    return orders


def test_a_task_far_back_in_its_line_has_no_place(desk: Desk) -> None:
    """Counting to the end of a long line would take Redis's time."""
    for _ in range(3):
        last = place(desk, 500)[-1]

    assert desk.task(last.id).position is None


def test_a_running_task_shows_its_lease_and_progress(desk: Desk) -> None:
    """And who runs it."""
    task_id = desk.put()
    claim = desk.take()
    desk.run(report(claim.member, progress={"done": 3}))

    task = desk.task(task_id)

    assert (task.worker, task.progress, task.position) == ("w1/1", {"done": 3}, None)
    assert 0 < (task.lease_left_ms or 0) <= 60_000


def test_limits_show_what_is_left_of_them(desk: Desk) -> None:
    """Queue timeout and total timeout."""
    seen = desk.glance(desk.put(expires=1000, total_timeout=2000))

    assert 900_000 < (seen.expires_in_ms or 0) <= 1_000_000
    assert 1_900_000 < (seen.total_left_ms or 0) <= 2_000_000


def test_unknown_ids_and_what_is_no_id_are_not_found(desk: Desk) -> None:
    """The second without asking Redis."""
    with pytest.raises(TaskNotFound):
        desk.task(new_id())
    for nonsense in ("", "x", "!" * 22, 7, None, new_id() + "0", new_id().upper()):
        with pytest.raises(TaskNotFound):
            glance(nonsense)  # type: ignore[arg-type]


@pytest.mark.parametrize("command", [("SET", "junk"), ("RPUSH", "junk"), ("SET", "q1\nx y z\n{}")])
def test_a_foreign_record_is_an_error(desk: Desk, command: tuple[str, str]) -> None:
    """Named as such, also when it is nearly one of ours."""
    desk.audited = False
    task_id = new_id()
    desk.redis(command[0], desk.key(f"t:{task_id}"), command[1])

    with pytest.raises(ForeignData):
        desk.task(task_id)


def test_records_nearly_like_ours_are_foreign(desk: Desk) -> None:
    """Whatever a stranger writes: one error, never a traceback."""
    desk.audited = False
    blobs = [
        b"",
        b"\n\n\n",
        b"z1\nq n\n{}",
        b"q1\nq\n{}",
        b"q1\nq n p=9\n{}",
        b"q1\nq n m=x\n{}",
        b"q1\nq n h=%7B\n{}",
        b"q1\nq n\nnot json",
        b"q1\nq n\n{}\nnot json",
        b"q1 \xff\nq n\n{}",
        b"qx\nq n\n{}",
    ]
    for blob in blobs:
        task_id = new_id()
        desk.redis("SET", desk.key(f"t:{task_id}"), blob)
        with pytest.raises(ForeignData):
            desk.task(task_id)


# -- lists -------------------------------------------------------------------------------------


def test_each_state_has_its_list(desk: Desk) -> None:
    """What people ask for first."""
    ready, scheduled = desk.put(), desk.put(delay=60)
    for kind in ("succeeded", "failed", "cancelled"):
        desk.put("job", priority="critical")
        desk.end(desk.take(), kind)
    desk.put(priority="critical")
    running = desk.take().id

    assert ids(desk, State.READY) == [ready]
    assert ids(desk, State.SCHEDULED) == [scheduled]
    assert ids(desk, State.RUNNING) == [running]
    assert [desk.state(each) for each in ids(desk, State.FAILED)] == ["failed"]
    assert [desk.state(each) for each in ids(desk, State.SUCCEEDED)] == ["succeeded"]
    assert [desk.state(each) for each in ids(desk, State.CANCELLED)] == ["cancelled"]


def test_ready_tasks_are_listed_in_the_order_of_their_lines(desk: Desk) -> None:
    """Page by page, over all lines."""
    orders = place(desk, 25)
    urgent = desk.put(priority="critical")
    found = []
    for offset in range(0, 40, 10):
        found += ids(desk, State.READY, offset=offset, limit=10)

    assert found == [urgent, *(each.id for each in orders)]


def test_dead_letters_are_listed_newest_first(desk: Desk) -> None:
    """What just broke is what one looks for."""
    dead = []
    for _ in range(3):
        dead.append(desk.put())
        desk.end(desk.take(), "failed")
        desk.redis("ZADD", desk.key("dead"), len(dead), dead[-1])

    assert ids(desk, State.FAILED) == dead[::-1]


def test_a_list_can_be_of_one_queue(desk: Desk) -> None:
    """In every state."""
    mine = desk.put(queue="mine")
    desk.put(queue="other")

    assert ids(desk, State.READY, queue="mine") == [mine]
    desk.claim(2, queues="mine other")
    assert ids(desk, State.RUNNING, queue="mine") == [mine]


def test_time_limits_are_no_scheduled_tasks(desk: Desk) -> None:
    """They stand in the same calendar."""
    desk.put(expires=10, total_timeout=20)

    assert ids(desk, State.SCHEDULED) == []


def test_entries_that_have_moved_on_are_not_listed(desk: Desk) -> None:
    """A list shows what is, not what was."""
    gone, stays = desk.put(), desk.put()
    desk.cancel(gone)

    assert ids(desk, State.READY) == [stays]


def test_a_task_that_stands_twice_is_listed_once(desk: Desk) -> None:
    """A claim by id and a release left its old entry behind."""
    task_id = desk.put()
    desk.release(desk.take_one(task_id))

    assert ids(desk, State.READY) == [task_id]


def test_foreign_dead_letters_are_listed_as_such(desk: Desk) -> None:
    """So that they can be seen and purged."""
    desk.audited = False
    task_id = desk.put()
    desk.redis("SET", desk.key(f"t:{task_id}"), b"\xffjunk")
    desk.claim(1)

    (task,) = desk.run(page(0, State.FAILED)).tasks

    assert (task.id, task.reason, task.raw) == (task_id, "foreign-data", "\ufffdjunk")


def test_tasks_that_wait_are_listed(desk: Desk) -> None:
    """Those of flows, and those that came by themselves."""
    flows = Flows(desk)
    first = node("first")
    approval = node("approval", kind="approval")
    flows.start(first, approval, node("second", first), node("other", first, queue="q"))
    parent, waits = desk.put("parent"), order()
    desk.run(depend(waits, [Edge(parent)]))
    sleeper = desk.put("sleeper")
    held = desk.take(served=["sleeper"])
    desk.end(held, "suspend", b'{"kind":"time","key":"nap"}', 60_000)

    waiting = [desk.run(page(0, State.WAITING, offset=at, limit=2)) for at in (0, 2, 4, 6)]
    suspended = desk.run(page(0, State.SUSPENDED)).tasks

    assert len([task for each in waiting for task in each.tasks]) == 3
    assert waiting[-1].looked_at == 0
    assert [task.id for task in suspended] == [approval.id, sleeper]
    assert [task.queue for task in desk.run(page(0, State.WAITING, queue="q")).tasks] == ["q"]


# -- overview ----------------------------------------------------------------------------------


def test_the_overview_counts_what_there_is(desk: Desk) -> None:
    """Queues by name, totals, and how old the oldest ready task is."""
    desk.put(queue="b")
    desk.put(queue="a", delay=60)
    desk.put(queue="a")
    desk.end(desk.take(queues="a"), "failed")

    seen = desk.overview()

    assert [queue.name for queue in seen.queues] == ["a", "b"]
    assert (seen.running, seen.due, seen.dead, seen.done) == (0, 1, 1, 0)
    assert 0 <= (seen.queues[1].oldest_ready_ms or 0) < 60_000
    assert seen.queues[0].oldest_ready_ms is None


def test_overviews_of_shards_add_up(desk: Desk) -> None:
    """A queue is one, however many shards hold it; a worker beats on each."""
    desk.put()
    desk.beat()
    part = desk.overview()

    whole = merge([part, part])

    assert (whole.queues[0].ready, len(whole.workers)) == (2, 1)
    assert whole.to_json()["queues"][0]["ready"] == 2


def test_a_worker_with_foreign_info_does_not_spoil_the_overview(desk: Desk) -> None:
    """It lives, and says nothing sensible."""
    desk.beat()
    desk.redis("SET", desk.key("worker:w1"), b"\xffjunk", "PX", 60_000)

    (view,) = desk.overview().workers

    assert (view.name, view.info) == ("w1", {})


def test_a_queue_with_foreign_fields_is_foreign_data(desk: Desk) -> None:
    """A counter that is no number cannot be shown; the error says what is wrong."""
    desk.audited = False
    desk.put()
    desk.redis("HSET", desk.key("queue:default"), "ready", "many")

    with pytest.raises(ForeignData):
        desk.overview()
