"""work/fire: a slot comes to pass once, whoever fires it and however often."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from coordq.engine.connection import Engine, open_engine
from coordq.errors import Deposed, QueueFull, ReadOnly
from coordq.work import agenda
from coordq.work.task import State
from tests.work.clerk import Clerk
from tests.work.desk import Desk


@pytest.fixture
def engines(redis_url: str, namespace: str) -> Iterator[list[Engine]]:
    """Eight more lines to the same shard."""
    opened = [open_engine(redis_url, namespace=namespace) for _ in range(8)]
    yield opened
    for engine in opened:
        engine.close()


# -- firing --------------------------------------------------------------------------------------


def test_a_slot_becomes_a_task(clerk: Clerk, desk: Desk) -> None:
    """With the options of the schedule, and word of where it comes from."""
    clerk.add(args={"n": 1}, queue="slow", priority="high", max_attempts=7)
    due = clerk.let_be_due()

    fired = desk.run(clerk.firing(due))

    task = desk.task(fired.detail)
    assert (task.name, task.queue, task.args, task.priority) == ("job", "slow", {"n": 1}, "high")
    assert (task.max_attempts, task.spec.schedule, task.spec.slot_ms) == (7, "s", due.next_ms)
    after = clerk.view()
    assert (after.fired, after.last_ms) == (1, due.next_ms)
    assert after.next_ms is not None
    assert after.next_ms > desk.now_ms()
    assert clerk.told() == [("fired", f"{due.schedule.words(due.next_ms or 0)} as {task.id}")]


def test_a_slot_is_fired_once_whoever_fires_it(
    clerk: Clerk, desk: Desk, engines: list[Engine]
) -> None:
    """Eight who think that they lead, with the same epoch, at the same moment."""
    clerk.add(overlap="queue")
    for _ in range(5):
        due = clerk.let_be_due()
        calls = [clerk.firing(due) for _ in engines]
        with ThreadPoolExecutor(8) as threads:
            fired = list(threads.map(lambda engine, call: engine.run(call), engines, calls))
        assert sorted(one.outcome for one in fired) == ["changed"] * 7 + ["fired"]

    assert (desk.queue().enqueued, clerk.view().fired) == (5, 5)


def test_a_deposed_leader_fires_nothing(clerk: Clerk, desk: Desk) -> None:
    """It was paused, and another has been elected since."""
    clerk.add()
    clerk.epoch = 9
    clerk.fire()
    late = clerk.firing(clerk.let_be_due(), epoch=8)
    before = clerk.books()

    with pytest.raises(Deposed):
        desk.run(late)

    assert clerk.books() == before


def test_events_carry_the_epoch(clerk: Clerk, desk: Desk) -> None:
    """So that the story says under whom it happened."""
    clerk.add()
    clerk.epoch = 77
    clerk.fire()

    (event,) = [event for event in desk.events() if event.kind == "fired"]
    assert (event.subject, event.fence) == ("s", 77)


def test_what_was_replaced_while_it_was_due_is_not_fired(clerk: Clerk, desk: Desk) -> None:
    """The leader had read the old one; the new one comes in its own time."""
    clerk.add(args={"n": 1})
    call = clerk.firing(clerk.let_be_due())
    clerk.add(args={"n": 2}, replace=True)

    assert desk.run(call).outcome == "changed"
    assert desk.overview().queues == ()


def test_what_was_paused_while_it_was_due_is_not_fired(clerk: Clerk, desk: Desk) -> None:
    """Likewise; nor one that was removed, or removed and made anew."""
    clerk.add()
    due = clerk.let_be_due()
    call = clerk.firing(due)
    desk.run(agenda.take_off(0, "s"))
    assert desk.run(call).outcome == "changed"
    clerk.add()
    desk.redis("ZADD", desk.key("schedules"), due.next_ms or 0, "s")
    assert desk.run(call).outcome == "changed"
    assert desk.overview().queues == ()


def test_a_slot_that_fills_the_queue_stays_due(clerk: Clerk, desk: Desk) -> None:
    """Backpressure reaches schedules as well: nothing is lost, it comes when there is room."""
    clerk.add()
    desk.configure(high=1)
    blocker = desk.put()
    due = clerk.let_be_due()

    assert desk.run(clerk.firing(due)).outcome == "full"
    assert clerk.view() == due
    desk.cancel(blocker)
    assert desk.run(clerk.firing(due)).outcome == "fired"


def test_a_slot_may_be_left_out_when_the_queue_is_full(clerk: Clerk, desk: Desk) -> None:
    """on_full="refuse"; and "force" does not ask."""
    desk.configure(high=1)
    desk.put()
    clerk.add(on_full="refuse")
    clerk.add("forced", on_full="force")

    assert clerk.fire() == ("skipped", "queue default is full")
    assert clerk.fire("forced").outcome == "fired"
    assert (clerk.view().skipped, clerk.view().fired) == (1, 0)
    assert clerk.view().note.endswith("queue default is full")


def test_a_read_only_fleet_starts_nothing(clerk: Clerk, desk: Desk) -> None:
    """The slot stays due until the fleet takes work again."""
    clerk.add()
    due = clerk.let_be_due()
    desk.redis("SET", desk.key("readonly"), "leader minority")

    with pytest.raises(ReadOnly):
        desk.run(clerk.firing(due))
    desk.redis("DEL", desk.key("readonly"))
    assert desk.run(clerk.firing(due)).outcome == "fired"


def test_a_strangers_key_leaves_nothing_half_done(clerk: Clerk, desk: Desk) -> None:
    """The task cannot stand in its line: the slot is still due."""
    desk.audited = False
    clerk.add()
    due = clerk.let_be_due()
    desk.redis("SET", desk.key("line:default:2job"), "junk")
    desk.redis("SET", desk.key("epoch"), clerk.epoch)
    before = clerk.books()

    with pytest.raises(Exception, match="did not write"):
        desk.run(clerk.firing(due))

    assert clerk.books() == before


# -- overlap -------------------------------------------------------------------------------------


def test_skip_leaves_a_slot_out_while_a_run_lives(clerk: Clerk, desk: Desk) -> None:
    """Ready, running or waiting for a retry: all of that is alive."""
    clerk.add()
    first = clerk.fire().detail
    assert clerk.fire() == ("skipped", f"run {first} has not ended")
    held = desk.take()
    assert clerk.fire().outcome == "skipped"
    desk.end(held, "retry", delay_ms=60_000)
    assert clerk.fire().outcome == "skipped"
    desk.cancel(first)

    assert clerk.fire().outcome == "fired"
    assert (clerk.view().fired, clerk.view().skipped) == (2, 3)
    assert [kind for kind, _ in clerk.told()] == ["fired", *["skipped"] * 3, "fired"]


def test_a_dead_letter_does_not_hold_up_its_schedule(clerk: Clerk, desk: Desk) -> None:
    """It has ended; revived it lives again."""
    clerk.add()
    first = clerk.fire().detail
    desk.end(desk.take(), "failed")
    second = clerk.fire()
    assert second.outcome == "fired"
    desk.end(desk.take())
    desk.requeue(first)

    assert clerk.fire() == ("skipped", f"run {first} has not ended")


def test_queue_enqueues_all_the_same(clerk: Clerk, desk: Desk) -> None:
    """For work that must be done as often as it is due."""
    clerk.add(overlap="queue")

    assert [clerk.fire().outcome for _ in range(3)] == ["fired"] * 3
    assert desk.queue().ready == 3


def test_cancel_oldest_makes_way_for_the_new_run(clerk: Clerk, desk: Desk) -> None:
    """One that waits is cancelled at once; one that runs, its worker is told to stop."""
    clerk.add(overlap="cancel-oldest")
    first = clerk.fire().detail
    second = clerk.fire().detail
    assert (desk.state(first), desk.state(second)) == ("cancelled", "ready")
    held = desk.take()
    third = clerk.fire().detail

    assert desk.task(second).cancel_requested
    assert desk.beat(held).cancelled == (held.member,)
    assert desk.state(third) == "ready"
    assert (desk.task(first).error or {})["message"] == "the next run of schedule s is due"


# -- history -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["succeeded", "failed", "cancelled"])
def test_a_schedule_remembers_how_a_run_ended(clerk: Clerk, desk: Desk, kind: str) -> None:
    """Noted as it ends, with no leader about: its record may be gone long before the next slot."""
    clerk.add(result_ttl=5)
    task_id = clerk.fire().detail
    assert clerk.view().runs[0].state is State.READY
    desk.end(desk.take(), kind)
    desk.redis("DEL", desk.key(f"t:{task_id}"))
    desk.redis("DEL", desk.key("dead"))
    desk.audited = False

    assert [(run.id, run.state) for run in clerk.view().runs] == [(task_id, State(kind))]


def test_history_is_bounded(clerk: Clerk) -> None:
    """The last twenty, latest first."""
    clerk.add(overlap="queue")
    fired = [clerk.fire().detail for _ in range(23)]

    assert [run.id for run in clerk.view().runs] == fired[:2:-1]
    assert clerk.view().fired == 23


def test_a_task_outlives_its_schedule(clerk: Clerk, desk: Desk) -> None:
    """Removing the one does not touch the other, nor does the end of the other bring it back."""
    clerk.add()
    clerk.fire()
    desk.run(agenda.take_off(0, "s"))

    assert desk.end(desk.take()) == "ok"
    assert [name for name in desk.names() if "schedule" in name] == []


def test_a_task_may_claim_a_schedule_that_is_none(clerk: Clerk, desk: Desk) -> None:
    """A stranger's key where the schedule was does not keep a task from ending."""
    clerk.add()
    clerk.fire()
    desk.redis("DEL", desk.key("schedule:s"))
    desk.redis("SET", desk.key("schedule:s"), "junk")

    assert desk.end(desk.take()) == "ok"


# -- missed, and by hand -------------------------------------------------------------------------


def test_missed_slots_are_counted_and_told(clerk: Clerk) -> None:
    """With the one that was fired, or without any."""
    clerk.add()
    clerk.fire(passed=3)
    clerk.fire(slot_ms=None, passed=2)

    after = clerk.view()
    assert (after.fired, after.skipped, after.missed_slots) == (1, 0, 5)
    kinds = clerk.told()
    assert [kind for kind, _ in kinds] == ["skipped", "fired", "skipped"]
    assert kinds[0][1].endswith("3 before it missed, because nobody led")
    assert kinds[2][1].endswith("2 with it missed, because nobody led")


def test_by_hand_minds_neither_pauses_nor_runs_that_live(clerk: Clerk, desk: Desk) -> None:
    """Whoever asks for a run wants one; the slots stay as they are."""
    view = clerk.add(paused=True)
    first = desk.run(agenda.run_by_hand(view, shard=0))
    second = desk.run(agenda.run_by_hand(view, shard=0))

    assert (first.outcome, second.outcome) == ("fired", "fired")
    after = clerk.view()
    assert (after.paused, after.next_ms, after.fired) == (True, None, 2)
    assert [run.slot_ms for run in after.runs] == [0, 0]
    assert clerk.told("fired")[0][1] == f"by hand as {first.detail}"


def test_by_hand_a_full_queue_is_an_error(clerk: Clerk, desk: Desk) -> None:
    """Somebody is there to be told."""
    desk.configure(high=1)
    desk.put()
    clerk.add()
    view = clerk.view()

    with pytest.raises(QueueFull):
        desk.run(agenda.run_by_hand(view, shard=0))

    assert clerk.view() == view
