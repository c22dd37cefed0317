"""One scene for each script: a call, and what must be true once it had exactly one effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coordq.engine.call import Call
from coordq.work import beat, cancel, claim, finish, look, morgue, queue, report
from coordq.work import enqueue as ordering
from coordq.work.events import note
from coordq.work.finish import Outcome
from coordq.work.task import State
from tests.work.desk import ERROR, Desk, ask, bulk, order

Check = Callable[[Any], None]
Scene = Callable[[Desk], tuple[Call[Any], Check]]
SCENES: dict[str, Scene] = {}


def scene(scene: Scene) -> Scene:
    """A call whose reply gets lost, and what must be true afterwards."""
    SCENES[scene.__name__] = scene
    return scene


@scene
def enqueue(desk: Desk) -> tuple[Call[Any], Check]:
    """One task, not two."""
    made = order(unique="u")

    def check(receipt: Any) -> None:
        assert receipt == ordering.Receipt(made.id)
        assert (desk.queue().ready, desk.queue().enqueued) == (1, 1)
        assert len(desk.claim(10).claims) == 1

    return ordering.enqueue(made), check


@scene
def enqueue_bulk(desk: Desk) -> tuple[Call[Any], Check]:
    """A hundred tasks, not two hundred."""
    orders = bulk(100)

    def check(receipts: Any) -> None:
        assert receipts == [ordering.Receipt(each.id) for each in orders]
        assert (desk.queue().ready, desk.queue().enqueued) == (100, 100)

    return ordering.enqueue_many(orders, on_full="refuse"), check


@scene
def enqueue_to_the_brim(desk: Desk) -> tuple[Call[Any], Check]:
    """The task that filled the queue is not kept out by itself."""
    desk.configure(high=1)
    made = order()

    def check(receipt: Any) -> None:
        assert receipt == ordering.Receipt(made.id)

    return ordering.enqueue(made), check


@scene
def enqueue_delayed(desk: Desk) -> tuple[Call[Any], Check]:
    """Scheduled once."""
    made = order(delay=60, expires=60, total_timeout=600)

    def check(_: Any) -> None:
        assert (desk.queue().scheduled, desk.redis("ZCARD", desk.key("due"))) == (1, 3)

    return ordering.enqueue(made), check


@scene
def enqueue_shedding(desk: Desk) -> tuple[Call[Any], Check]:
    """One is pushed out, not two."""
    desk.configure(high=2)
    for _ in range(2):
        desk.put(priority="low")
    made = order(on_full="shed")

    def check(receipt: Any) -> None:
        assert receipt == ordering.Receipt(made.id)
        assert (desk.queue().ready, desk.queue().failed) == (2, 1)

    return ordering.enqueue(made), check


@scene
def claim_some(desk: Desk) -> tuple[Call[Any], Check]:
    """The same two tasks, and no more."""
    orders = bulk(5)
    desk.place_all(orders)

    def check(claimed: Any) -> None:
        assert [each.id for each in claimed.claims] == [each.id for each in orders[:2]]
        assert (desk.queue().running, desk.queue().ready) == (2, 3)

    return claim.claim(0, ask(2)), check


@scene
def claim_one(desk: Desk) -> tuple[Call[Any], Check]:
    """No conflict with oneself."""
    task_id = desk.put()

    def check(taken: Any) -> None:
        assert (taken.id, taken.attempt) == (task_id, 1)

    return claim.claim_one(task_id, version=1, claimant="w1/1:a", nonce="one"), check


@scene
def finish_and_claim(desk: Desk) -> tuple[Call[Any], Check]:
    """Committed once, and the same task claimed."""
    desk.put()
    desk.put()
    held = desk.take()

    def check(done: Any) -> None:
        assert done.verdicts == ("duplicate",)
        assert len(done.claimed.claims) == 1
        assert (desk.queue().succeeded, desk.queue().running) == (1, 1)

    return finish.finish(0, [Outcome("succeeded", held.id, held.fence, b"1")], ask()), check


def finishing(kind: str) -> Scene:
    """A finish of one kind."""

    def finish_as(desk: Desk) -> tuple[Call[Any], Check]:
        desk.put()
        held = desk.take()
        before = desk.task(held.id).version

        def check(done: Any) -> None:
            assert done.verdicts == ("duplicate",)
            assert desk.task(held.id).version == before + 1

        body = b'{"kind":"time","key":"k"}' if kind == "suspend" else ERROR
        return finish.finish(0, [Outcome(kind, held.id, held.fence, body, 60_000)]), check

    return finish_as


for _kind in finish.LETTERS:
    SCENES[f"finish_{_kind}"] = finishing(_kind)


@scene
def beat_(desk: Desk) -> tuple[Call[Any], Check]:
    """A second beat is as good as the first."""
    desk.put()
    held = desk.take()

    def check(beaten: Any) -> None:
        assert (beaten.known, beaten.lost) == (True, ())

    return beat.beat(0, beat.Pulse("w1", (held.member,), b"{}")), check


@scene
def leave(desk: Desk) -> tuple[Call[Any], Check]:
    """Gone is gone."""
    desk.beat()

    def check(_: Any) -> None:
        assert desk.overview().workers == ()

    return beat.leave(0, "w1"), check


@scene
def reap(desk: Desk) -> tuple[Call[Any], Check]:
    """One strike, not two."""
    desk.put()
    held = desk.take()
    desk.lapse(held)

    def check(_: Any) -> None:
        assert (desk.task(held.id).strikes, desk.queue().lapsed) == (1, 1)

    return beat.reap(0), check


@scene
def release(desk: Desk) -> tuple[Call[Any], Check]:
    """One strike, not two."""
    desk.put()
    held = desk.take()

    def check(_: Any) -> None:
        assert (desk.state(held.id), desk.task(held.id).strikes) == ("ready", 1)

    return beat.release(0, [held.member], claimants=["w1/1:a"], reason="crash"), check


@scene
def cancel_waiting(desk: Desk) -> tuple[Call[Any], Check]:
    """The answer is the state it has ended in, by our own doing."""
    task_id = desk.put()

    def check(done: Any) -> None:
        assert done.state.value == "cancelled"
        assert desk.queue().cancelled == 1

    return cancel.cancel(task_id), check


@scene
def cancel_running(desk: Desk) -> tuple[Call[Any], Check]:
    """One request."""
    task_id = desk.put()
    desk.take()

    def check(done: Any) -> None:
        assert done.requested
        assert desk.kinds(task_id).count("cancelling") == 1

    return cancel.cancel(task_id), check


@scene
def requeue(desk: Desk) -> tuple[Call[Any], Check]:
    """Ready once."""
    task_id = desk.put()
    desk.end(desk.take(), "failed")

    def check(_: Any) -> None:
        assert (desk.queue().ready, desk.kinds(task_id).count("requeued")) == (1, 1)

    return morgue.requeue([task_id]), check


@scene
def forget(desk: Desk) -> tuple[Call[Any], Check]:
    """Gone is gone."""
    task_id = desk.put()
    desk.end(desk.take(), "failed")

    def check(_: Any) -> None:
        assert not [name for name in desk.names() if task_id in name]

    return morgue.forget([task_id]), check


@scene
def purge(desk: Desk) -> tuple[Call[Any], Check]:
    """Each cancelled once."""
    desk.place_all(bulk(5))

    def check(_: Any) -> None:
        assert (desk.queue().ready, desk.queue().cancelled) == (0, 5)

    return queue.purge(0, "default"), check


@scene
def configure(_: Desk) -> tuple[Call[Any], Check]:
    """The same settings."""

    def check(after: Any) -> None:
        assert (after.paused, after.high) == (True, 9)

    return queue.configure(0, "default", paused=True, high=9), check


@scene
def watch(desk: Desk) -> tuple[Call[Any], Check]:
    """One letter."""
    task_id = desk.put()

    def check(found: Any) -> None:
        assert found == [None]
        desk.end(desk.take())
        assert desk.redis("LLEN", desk.key("mailbox:me")) == 1

    return look.watch([task_id], mailbox="me"), check


@scene
def report_progress(desk: Desk) -> tuple[Call[Any], Check]:
    """Progress is the same; a line may be there twice, but never not at all."""
    task_id = desk.put()
    held = desk.take()

    def check(accepted: Any) -> None:
        assert accepted
        assert desk.task(task_id).progress == {"at": 1}
        assert b"hello" in desk.redis("LRANGE", desk.key(f"log:{task_id}"), 0, -1)

    return report.report(held.member, progress={"at": 1}, lines=["hello"]), check


@scene
def note_(_: Desk) -> tuple[Call[Any], Check]:
    """An event may be told twice, but never not at all."""

    def check(at: Any) -> None:
        assert "-" in at

    return note(0, "w1", "stalled"), check


@scene
def look_(desk: Desk) -> tuple[Call[Any], Check]:
    """Looking again is no effect."""
    task_id = desk.put()

    def check(seen: Any) -> None:
        assert seen.task.id == task_id

    return look.glance(task_id), check


@scene
def list_(desk: Desk) -> tuple[Call[Any], Check]:
    """Likewise."""
    desk.put()

    def check(found: Any) -> None:
        assert len(found.tasks) == 1

    return look.page(0, State.READY), check


@scene
def overview(desk: Desk) -> tuple[Call[Any], Check]:
    """Likewise."""
    desk.put()

    def check(seen: Any) -> None:
        assert seen.queues[0].ready == 1

    return queue.overview(0), check
