"""The worst failure: a script was carried out and its reply never came. The retry has one effect.

The proxy loses the reply of the script under test once, for the sync and for the async engine.
Whatever the script did before its reply was lost, and whatever the repetition did on top, the books
must say that it happened once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coordq.engine import scripts
from coordq.engine.aio import open_async_engine
from coordq.engine.call import Call
from coordq.engine.connection import Engine, open_engine
from coordq.work import beat, cancel, claim, finish, look, morgue, queue, report
from coordq.work import enqueue as ordering
from coordq.work.events import note
from coordq.work.finish import Outcome
from coordq.work.task import State
from tests.proxy import LossyProxy
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

        return finish.finish(0, [Outcome(kind, held.id, held.fence, ERROR, 60_000)]), check

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


@pytest.fixture
def far(proxy: LossyProxy, namespace: str) -> Iterator[Engine]:
    """An engine at the other end of the lossy wire."""
    with open_engine(proxy.url, namespace=namespace) as engine:
        yield engine


def lose(desk: Desk, proxy: LossyProxy, call: Call[Any]) -> None:
    """The next reply to this script is lost. It is known to Redis, or the reply is NOSCRIPT."""
    script = scripts.load(call.script)
    desk.redis("SCRIPT", "LOAD", script.source)
    proxy.drop_reply(script.sha.encode())


@pytest.mark.parametrize("name", SCENES)
def test_a_lost_reply_has_one_effect_on_the_sync_engine(
    desk: Desk, proxy: LossyProxy, far: Engine, name: str
) -> None:
    """The engine repeats the call by itself."""
    call, check = SCENES[name](desk)
    lose(desk, proxy, call)

    answer = far.run(call)

    assert proxy.dropped == 1
    check(answer)


async def _run(url: str, namespace: str, call: Call[Any]) -> Any:
    async with await open_async_engine(url, namespace=namespace) as engine:
        return await engine.run(call)


@pytest.mark.parametrize("name", SCENES)
def test_a_lost_reply_has_one_effect_on_the_async_engine(
    desk: Desk, proxy: LossyProxy, name: str
) -> None:
    """The engine repeats the call by itself."""
    call, check = SCENES[name](desk)
    lose(desk, proxy, call)

    answer = asyncio.run(_run(proxy.url, desk.engine.namespace, call))

    assert proxy.dropped == 1
    check(answer)


@pytest.mark.parametrize("name", ["enqueue", "claim_some", "finish_and_claim"])
def test_a_request_that_never_arrived_is_sent_again(
    desk: Desk, proxy: LossyProxy, far: Engine, name: str
) -> None:
    """The other way to lose an exchange; the caller cannot tell the two apart."""
    call, check = SCENES[name](desk)
    script = scripts.load(call.script)
    desk.redis("SCRIPT", "LOAD", script.source)
    proxy.drop_request(script.sha.encode())

    answer = far.run(call)

    if name != "finish_and_claim":
        check(answer)
    else:
        assert answer.verdicts == ("ok",)


def test_every_script_of_the_work_room_has_a_scene(desk: Desk) -> None:
    """A script that is added has to stand the same test."""
    tried = {call.script for call in all_calls(desk)}

    assert tried == {name for name in scripts.names() if name.startswith("work/")}


def all_calls(desk: Desk) -> Iterator[Call[Any]]:
    """The call of each scene, each on an empty shard."""
    for build in SCENES.values():
        names = list(desk.names())
        if names:
            desk.redis("UNLINK", *names)
        yield build(desk)[0]


def test_a_window_of_calls_survives_a_lost_reply(
    desk: Desk, proxy: LossyProxy, far: Engine
) -> None:
    """run_many has calls on their way behind the one whose reply is lost."""
    batches = [bulk(50) for _ in range(6)]
    calls = [ordering.enqueue_many(batch, on_full="wait") for batch in batches]
    lose(desk, proxy, calls[0])

    receipts = far.run_many(calls)

    assert [receipt.id for each in receipts for receipt in each] == [
        each.id for batch in batches for each in batch
    ]
    assert desk.queue().ready == 300


def test_a_script_cache_flushed_between_calls_is_no_trouble(desk: Desk) -> None:
    """A restart or an operator's SCRIPT FLUSH: the script is sent whole, once."""
    for call in all_calls(desk):
        desk.redis("SCRIPT", "FLUSH")
        desk.run(call)
