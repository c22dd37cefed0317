"""Backpressure: at the high mark producers wait, are refused, or shed; waiting ones are woken."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from coordq.client.client import Client
from coordq.client.client_async import connect_async
from coordq.engine.connection import open_engine
from coordq.errors import QueueFull
from coordq.work.enqueue import Receipt
from tests.waiting import wait_until, wait_until_async
from tests.work.desk import Desk, order


def fill(desk: Desk, amount: int, **options: Any) -> list[str]:
    """Enqueue several."""
    return [desk.put("job", {"n": n}, **options) for n in range(amount)]


def waiting(desk: Desk) -> int:
    """How many connections are blocked in Redis."""
    said: bytes = desk.redis("INFO", "clients")
    return int(said.split(b"blocked_clients:")[1].split(b"\r\n")[0])


# -- refuse ------------------------------------------------------------------------------------


def test_a_refusal_says_how_full_the_queue_is(desk: Desk) -> None:
    """A caller can act on facts, and need not parse a message."""
    desk.configure(high=3)
    fill(desk, 3)

    with pytest.raises(QueueFull) as caught:
        desk.place(order("job"), on_full="refuse")

    facts = caught.value
    assert (facts.queue, facts.depth, facts.high, facts.retry_after) == ("default", 3, 3, 1.0)
    assert "3 of 3 tasks" in str(facts)


def test_bytes_are_a_limit_too(desk: Desk) -> None:
    """A few huge tasks fill a Redis as well as many small ones."""
    desk.configure(max_bytes=1000)
    desk.put("job", {"text": "x" * 700})

    with pytest.raises(QueueFull) as caught:
        desk.place(order("job", {"text": "x" * 700}), on_full="refuse")

    assert caught.value.bytes == desk.queue().bytes
    assert "of 1,000 bytes" in str(caught.value)
    desk.put("job", {"text": "x" * 100})


def test_scheduled_tasks_count(desk: Desk) -> None:
    """A backlog that is merely delayed fills the memory all the same."""
    desk.configure(high=2)
    fill(desk, 2, delay=60)

    with pytest.raises(QueueFull):
        desk.place(order("job"), on_full="refuse")


def test_running_tasks_do_not_count(desk: Desk) -> None:
    """What a worker has taken makes room."""
    desk.configure(high=2)
    fill(desk, 2)
    desk.claim(1)

    desk.put("job")


def test_other_queues_are_not_affected(desk: Desk) -> None:
    """Limits are a queue's own."""
    desk.configure(high=1)
    fill(desk, 1)

    desk.put("job", queue="other")


def test_force_goes_past_the_mark(desk: Desk) -> None:
    """For the one task that must not wait, such as the one that drains the others."""
    desk.configure(high=1)
    fill(desk, 1)

    desk.put("job", on_full="force")

    assert desk.queue().ready == 2


def test_retries_go_past_the_mark(desk: Desk) -> None:
    """What was accepted once is never lost to a limit."""
    desk.configure(high=1)
    fill(desk, 1)
    claim = desk.take()
    fill(desk, 1)

    assert desk.end(claim, "retry", delay_ms=60_000) == "ok"

    assert desk.queue().backlog == 2


# -- wait --------------------------------------------------------------------------------------


def test_without_room_nothing_happens_yet(desk: Desk) -> None:
    """The receipt says so, and the caller waits."""
    desk.configure(high=1)
    fill(desk, 1)

    receipt = desk.place(order("job"))

    assert (receipt.created, receipt.no_room) == (False, True)
    assert desk.queue().ready == 1


def test_a_bulk_puts_in_what_fits(desk: Desk) -> None:
    """The first ones, in order."""
    desk.configure(high=3)
    orders = [order("job") for _ in range(5)]

    receipts = desk.place_all(orders)

    assert [receipt.no_room for receipt in receipts] == [False] * 3 + [True] * 2


def test_a_repeated_enqueue_is_not_kept_out_by_itself(desk: Desk) -> None:
    """The first call filled the queue and its reply was lost: the task is in."""
    desk.configure(high=1)
    once = order("job")
    desk.place(once)

    assert desk.place(once) == Receipt(once.id)
    assert desk.place(once, on_full="refuse") == Receipt(once.id)


def test_room_is_offered_at_the_low_mark_and_not_before(desk: Desk) -> None:
    """Between the marks producers stay asleep, so they do not fight for single places."""
    desk.configure(high=4, low=2)
    fill(desk, 4)
    desk.place(order("job"))

    desk.claim(1)
    assert desk.redis("LLEN", desk.key("space:default")) == 0
    desk.claim(1)
    assert desk.redis("LLEN", desk.key("space:default")) == 2


def test_room_is_offered_again_while_somebody_waits(desk: Desk) -> None:
    """Ten producers wait, two places come free, and two more: the others hear of those too."""
    desk.configure(high=2, low=1)
    fill(desk, 2)
    desk.place(order("job"))
    desk.claim(1)
    assert desk.redis("LPOP", desk.key("space:default")) == b"1"
    fill(desk, 1)

    desk.claim(1)

    assert desk.redis("LLEN", desk.key("space:default")) == 1


def test_a_higher_mark_lets_the_waiting_in(desk: Desk) -> None:
    """An operator who raises the mark sees the effect at once."""
    desk.configure(high=1)
    fill(desk, 1)
    desk.place(order("job"))

    desk.configure(high=10)

    assert desk.redis("LLEN", desk.key("space:default")) > 0


def test_no_limit_lets_the_waiting_in(desk: Desk) -> None:
    """So does one who takes the mark away."""
    desk.configure(high=1)
    fill(desk, 1)
    desk.place(order("job"))

    desk.configure(high=0)

    assert desk.redis("LLEN", desk.key("space:default")) > 0


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for room sleeps on for a minute and more: a wake-up that is lost shows."""
    monkeypatch.setattr("coordq.client.plans.BLOCK_S", 90.0)


def drain(desk: Desk) -> None:
    """A worker takes a task and ends it. Those who wait have asked for room just now."""
    desk.redis("HSET", desk.key("queue:default"), "wanted", desk.now_ms())
    for claim in desk.claim(1).claims:
        desk.end(claim)


@pytest.mark.usefixtures("patience")
def test_blocked_producers_are_woken(desk: Desk, redis_url: str) -> None:
    """Sync ones: several threads wait, and each goes on as soon as a worker makes room."""
    desk.configure(high=2, low=1)
    fill(desk, 2)
    with (
        open_engine(redis_url, namespace=desk.engine.namespace) as engine,
        ThreadPoolExecutor(3) as pool,
    ):
        client = Client(engine)
        enqueue = partial(client.work.enqueue, "job", wait=90)
        producers = [pool.submit(enqueue, {"p": n}) for n in range(3)]
        wait_until(lambda: waiting(desk) >= 3, what="three producers to wait")

        def drained() -> bool:
            drain(desk)
            return all(producer.done() for producer in producers)

        wait_until(drained, what="all producers to be let in, without a time-out")
        assert all(producer.result().created for producer in producers)


async def _async_producers(desk: Desk, url: str) -> None:
    async with connect_async(url, namespace=desk.engine.namespace) as client:
        enqueue = partial(client.work.enqueue, "job", wait=90)
        producers = [asyncio.create_task(enqueue({"p": n})) for n in range(3)]
        await wait_until_async(lambda: waiting(desk) > 0, what="a producer to wait")

        def drained() -> bool:
            drain(desk)
            return all(producer.done() for producer in producers)

        await wait_until_async(drained, what="all producers to be let in, without a time-out")
        assert all(producer.result().created for producer in producers)


@pytest.mark.usefixtures("patience")
def test_blocked_producers_on_a_loop_are_woken(desk: Desk, redis_url: str) -> None:
    """Async ones, likewise."""
    desk.configure(high=2, low=1)
    fill(desk, 2)
    asyncio.run(_async_producers(desk, redis_url))


def test_a_producer_that_waited_too_long_is_refused_with_facts(desk: Desk) -> None:
    """The wait has an end, and then the same error as for `refuse`."""
    desk.configure(high=1)
    fill(desk, 1)

    with pytest.raises(QueueFull) as caught:
        Client(desk.engine).work.enqueue("job", {}, wait=0.05)

    assert caught.value.depth == 1
    assert desk.queue().ready == 1


# -- shed --------------------------------------------------------------------------------------


def shed(desk: Desk, **options: Any) -> tuple[str, Receipt]:
    """Enqueue one that would rather push others out."""
    made = order("job", on_full="shed", **options)
    return made.id, desk.place(made)


def test_the_least_urgent_is_shed(desk: Desk) -> None:
    """It becomes a dead letter with the reason, and can be revived."""
    desk.configure(high=2)
    (low,) = fill(desk, 1, priority="low")
    fill(desk, 1)

    made, receipt = shed(desk)

    assert receipt == Receipt(made)
    assert (desk.state(low), desk.task(low).reason) == ("failed", "shed")
    assert desk.queue().ready == 2


def test_the_youngest_of_the_least_urgent_is_shed(desk: Desk) -> None:
    """The oldest has waited longest."""
    desk.configure(high=3)
    lows = fill(desk, 3, priority="low")

    shed(desk)

    assert [desk.state(each) for each in lows] == ["ready", "ready", "failed"]


def test_what_is_no_more_urgent_is_shed_itself(desk: Desk) -> None:
    """Equals are not pushed out."""
    desk.configure(high=1)
    (first,) = fill(desk, 1)

    made, receipt = shed(desk)

    assert receipt == Receipt(made, shed=True)
    assert (desk.state(first), desk.state(made)) == ("ready", "failed")
    assert desk.task(made).reason == "shed"


def test_whoever_waits_for_a_task_that_is_shed_itself_is_told(desk: Desk) -> None:
    """Its end is an end like any other."""
    desk.configure(high=1)
    fill(desk, 1)

    made, _ = shed(desk, mailbox="me")

    assert desk.redis("LPOP", desk.key("mailbox:me")).startswith(made.encode())


def test_a_task_shed_itself_twice_in_a_call_is_counted_once(desk: Desk) -> None:
    """Also here one id is one task."""
    desk.configure(high=1)
    fill(desk, 1)
    once = order("job")

    receipts = desk.place_all([once, once], on_full="shed")

    assert receipts[0] == Receipt(once.id, shed=True)
    assert desk.queue().failed == 1


def test_shedding_passes_over_entries_that_have_moved_on(desk: Desk) -> None:
    """Entries are hints: a claimed or cancelled one frees nothing."""
    desk.configure(high=2)
    keep, gone = fill(desk, 2, priority="low")
    desk.take_one(gone)
    fill(desk, 1)

    shed(desk)

    assert (desk.state(gone), desk.state(keep)) == ("running", "failed")


def test_shedding_makes_room_for_bytes(desk: Desk) -> None:
    """As many are shed as a large task needs? One: a task that does not fit is shed itself."""
    desk.configure(max_bytes=1000)
    fill(desk, 20, priority="low")
    big = order("job", {"text": "x" * 900}, on_full="shed")

    receipt = desk.place(big)

    assert receipt == Receipt(big.id)
    assert desk.queue().bytes <= 1000


def test_a_task_larger_than_its_queue_is_shed_and_nobody_else(desk: Desk) -> None:
    """It would never fit, so nobody is pushed out for it."""
    desk.configure(max_bytes=1000)
    lows = fill(desk, 3, priority="low")
    huge = order("job", {"text": "x" * 1900}, on_full="shed")

    assert desk.place(huge) == Receipt(huge.id, shed=True)
    assert [desk.state(each) for each in lows] == ["ready"] * 3


def test_a_shed_task_can_be_revived(desk: Desk) -> None:
    """Shed is postponed, not deleted."""
    desk.configure(high=1)
    (low,) = fill(desk, 1, priority="low")
    shed(desk)

    assert desk.requeue(low) == ["ok"]
    assert desk.state(low) == "ready"
