"""work/enqueue: orders become tasks, once, whatever happens on the way."""

from __future__ import annotations

from typing import Any

import pytest

from coordq.engine.call import Call
from coordq.errors import ForeignData, QueueFull
from coordq.ids import new_id
from coordq.work.enqueue import Receipt
from coordq.work.options import unique_digest
from coordq.work.payload import dump_args
from tests.work.desk import Desk, order


def test_a_task_is_ready_as_soon_as_it_is_enqueued(desk: Desk) -> None:
    """Enqueue is acknowledged only when a worker could claim."""
    task_id = desk.put("job", {"n": 1}, priority="high")

    task = desk.task(task_id)

    assert (task.state.value, task.version, task.attempt, task.fence) == ("ready", 1, 0, 0)
    assert (task.args, task.priority, task.queue) == ({"n": 1}, "high", "default")
    assert desk.queue().ready == desk.queue().enqueued == 1


def test_the_same_id_twice_is_one_task(desk: Desk) -> None:
    """A caller whose reply was lost says it all again."""
    once = order("job", {"n": 1})

    receipts = [desk.place(once), desk.place(once)]

    assert receipts == [Receipt(once.id)] * 2
    assert len(desk.claim(10).claims) == 1
    assert desk.queue().enqueued == 1


def test_the_same_id_twice_in_one_call_is_one_task(desk: Desk) -> None:
    """Callers may name ids themselves, and name one twice: the counters must not drift."""
    once, other = order("job", {"n": 1}), order("job", {"n": 2})

    receipts = desk.place_all([once, other, once])

    assert receipts == [Receipt(once.id), Receipt(other.id), Receipt(once.id)]
    assert desk.queue().ready == 2
    assert len(desk.claim(10).claims) == 2


def test_an_enqueue_repeated_after_the_task_ran_does_not_run_it_again(desk: Desk) -> None:
    """The reply may be lost for longer than the task takes."""
    once = order("job")
    desk.place(once)
    desk.end(desk.take())

    assert desk.place(once) == Receipt(once.id)
    assert desk.claim(10).claims == ()


def test_a_bulk_repeated_with_some_of_it_done_adds_the_rest(desk: Desk) -> None:
    """Every id is judged by itself."""
    known, fresh = order("job", {"n": 1}), order("job", {"n": 2})
    desk.place(known)

    desk.place_all([known, fresh])

    assert {claim.id for claim in desk.claim(10).claims} == {known.id, fresh.id}
    assert desk.queue().enqueued == 2


def test_a_bulk_of_500_is_one_call_and_keeps_its_order(desk: Desk) -> None:
    """First in, first out, also within a call."""
    orders = [order("job", {"n": n}) for n in range(500)]

    receipts = desk.place_all(orders)

    assert receipts == [Receipt(each.id) for each in orders]
    assert [claim.id for claim in desk.claim(500).claims] == [each.id for each in orders]


def test_a_bulk_may_mix_queues_options_and_delays(desk: Desk) -> None:
    """What differs only travels in another group of the same call."""
    orders = [
        order("job", queue="a"),
        order("job", queue="b", priority="low"),
        order("job", queue="a", delay=60),
        order("other", queue="a"),
    ]

    desk.place_all(orders)

    assert (desk.queue("a").ready, desk.queue("a").scheduled, desk.queue("b").ready) == (2, 1, 1)


def test_large_arguments_are_kept_apart_and_come_back_whole(desk: Desk) -> None:
    """A large payload must not make the record that every transition rewrites large."""
    args = {"text": "x" * 5000}
    task_id = desk.put("job", args)

    assert desk.redis("STRLEN", desk.key(f"p:{task_id}")) == len(dump_args("job", args))
    assert desk.redis("STRLEN", desk.key(f"t:{task_id}")) < 100
    assert desk.task(task_id).args == args
    assert desk.take().args == dump_args("job", args)


@pytest.mark.parametrize("size", [2047 - 11, 2048 - 11, 2049 - 11])
def test_arguments_around_the_inline_limit_come_back_whole(desk: Desk, size: int) -> None:
    """One byte more or less changes where they are kept, not what they are."""
    args = {"text": "x" * size}
    desk.put("job", args)

    assert desk.take().args == dump_args("job", args)


def test_a_delayed_task_is_not_ready_yet(desk: Desk) -> None:
    """Scheduled tasks count in the backlog, not in the lines."""
    task_id = desk.put("job", delay=60)

    assert desk.state(task_id) == "scheduled"
    assert desk.claim(10).claims == ()
    assert desk.queue().scheduled == desk.queue().backlog == 1


def test_a_moment_in_the_past_means_now(desk: Desk) -> None:
    """`at` by a clock that is a little behind is no reason to refuse."""
    task_id = desk.put("job", at=1_000_000_000.0)

    assert desk.state(task_id) == "ready"


def test_a_moment_in_the_future_is_kept(desk: Desk) -> None:
    """`at` is absolute: how long the call took does not move it."""
    at = desk.now_ms() / 1000 + 3600
    task_id = desk.put("job", at=at)

    assert float(desk.redis("ZSCORE", desk.key("due"), task_id)) == pytest.approx(at * 1000, abs=2)


def test_a_refused_bulk_changes_nothing(desk: Desk) -> None:
    """All or nothing: also no unique key is taken by an order that was turned away."""
    desk.configure(high=2)
    before = desk.dump()
    orders = [order("job", unique=f"u{n}", unique_for=3600) for n in range(3)]

    with pytest.raises(QueueFull):
        desk.place_all(orders, on_full="refuse")

    assert desk.dump() == before


def test_an_unknown_answer_is_an_error_not_a_receipt(desk: Desk) -> None:
    """A newer script must not be misread by an older client."""
    call: Call[list[int]] = Call("work/enqueue", 0, ("wait",), list)

    assert desk.run(call) == [b"ok"]


def test_a_mailbox_given_with_the_order_hears_of_the_end(desk: Desk) -> None:
    """`client.work.run` needs no second call to be told."""
    desk.place(order("job", mailbox="me"))
    claim = desk.take()
    desk.end(claim, body=b'"done"')

    letter = desk.redis("LPOP", desk.key("mailbox:me"))

    assert letter.startswith(claim.id.encode() + b"\ns3 ")
    assert letter.endswith(b'"done"')


def test_ids_from_other_clocks_are_fine(desk: Desk) -> None:
    """Producers' clocks differ; ids only need to be unique."""
    early = "0" * 9 + "00" + new_id()[11:]
    desk.place(order("job", id=early))

    assert desk.take().id == early


@pytest.mark.parametrize("options", [{}, {"delay": 60}, {"role": "reader"}, {"unique": "u"}])
@pytest.mark.parametrize("mode", ["wait", "refuse", "shed", "force"])
@pytest.mark.parametrize(
    "drawer",
    [
        "queue:default",
        "queues",
        "heads:default",
        "due",
        "routes",
        "line:default:2job",
        "marker:default:job",
        f"unique:{unique_digest('job', 'u')}",
    ],
)
def test_a_strangers_key_in_the_way_is_an_error_and_changes_nothing(
    desk: Desk, drawer: str, mode: str, options: dict[str, Any]
) -> None:
    """A key of another type, wherever the script meets it: all or nothing."""
    desk.redis("SET" if drawer.startswith("line") else "RPUSH", desk.key(drawer), "junk")
    before = desk.dump()
    made = order("job", {"text": "x" * 3000}, **options)

    try:
        receipt = desk.place(made, on_full=mode)
    except ForeignData:
        assert desk.dump() == before
    else:  # not in its way
        assert receipt == Receipt(made.id)
        assert desk.redis("EXISTS", desk.key(f"t:{made.id}"), desk.key(f"p:{made.id}")) == 2
    desk.audited = False
