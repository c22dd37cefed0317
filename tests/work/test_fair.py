"""Tenants share a line: by weight, whoever has how much to do."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from coordq.work import tenant as tenants
from tests.work.desk import Desk, bulk, error
from tests.work.gate import allow
from tests.work.test_priority import put as put_aged


def put(desk: Desk, tenant: str, amount: int = 1, **options: Any) -> list[str]:
    """Tasks of one tenant."""
    ids = []
    for start in range(0, amount, 500):
        orders = bulk(min(500, amount - start), tenant=tenant, **options)
        desk.place_all(orders)
        ids += [each.id for each in orders]
    return ids


def served(desk: Desk, want: int, at_once: int = 1) -> list[str]:
    """Whose tasks are handed out, in order: `want` of them, `at_once` a claim."""
    calls = range(0, want, at_once)
    return [each.spec.tenant for _ in calls for each in desk.claim(at_once).claims]


def weigh(desk: Desk, **weights: float) -> None:
    """Set weights."""
    for name, weight in weights.items():
        desk.run(tenants.weigh(0, name, weight))


# -- whose turn it is --------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 7, 100])
def test_small_tenants_are_served_beside_a_large_one(desk: Desk, at_once: int) -> None:
    """A hundred turns after a thousand tasks of one: nine have their ten each by then."""
    put(desk, "large", 1000)
    for number in range(9):
        put(desk, f"small-{number}", 10)

    counts = Counter(served(desk, 105, at_once)[:105])

    assert all(9 <= counts[f"small-{number}"] <= 10 for number in range(9))


def test_many_at_once_come_in_the_order_of_one_by_one(desk: Desk) -> None:
    """A worker with a hundred slots is as fair as a hundred workers with one."""
    weights = {"a": 1, "b": 2.5, "c": 0.3, "d": 7}
    weigh(desk, **weights)
    for queue in ("one", "many"):
        for tenant in weights:
            put(desk, tenant, 40, queue=queue)

    one = [each.spec.tenant for _ in range(100) for each in desk.claim(1, queues="one").claims]
    many = [each.spec.tenant for each in desk.claim(100, queues="many").claims]

    assert one == many


def test_weights_are_shares(desk: Desk) -> None:
    """Three turns to the others' one."""
    weigh(desk, acme=3)
    for tenant in ("acme", "globex", "initech"):
        put(desk, tenant, 200)

    counts = Counter(served(desk, 100, 10))

    for tenant, share in (("acme", 60), ("globex", 20), ("initech", 20)):
        assert abs(counts[tenant] - share) <= 1


def test_a_new_weight_counts_at_once(desk: Desk) -> None:
    """Whoever was far behind, because it weighed next to nothing, need not wait for that."""
    weigh(desk, slow=0.001)
    put(desk, "slow", 10)
    put(desk, "other", 100)
    assert set(served(desk, 10)) == {"slow", "other"}

    weigh(desk, slow=1)

    assert Counter(served(desk, 10))["slow"] >= 4


def test_absence_earns_nothing(desk: Desk) -> None:
    """Who comes after a thousand turns of another does not get a thousand turns."""
    put(desk, "there", 1100)
    put(desk, "comes", 1)
    served(desk, 1000, 100)

    put(desk, "comes", 100)

    assert Counter(served(desk, 20))["comes"] == 10


def test_the_past_costs_nothing(desk: Desk) -> None:
    """Who had everything while nobody else was there shares from then on like anybody."""
    put(desk, "first", 1000)
    served(desk, 900, 100)

    put(desk, "second", 100)

    assert abs(Counter(served(desk, 20))["first"] - 10) <= 1


def test_coming_back_for_each_task_gains_nothing(desk: Desk) -> None:
    """Who enqueues its next task when the last has started takes turns like who waits."""
    put(desk, "patient", 100)
    put(desk, "eager", 1)
    seen = Counter[str]()

    for _ in range(40):
        (tenant,) = served(desk, 1)
        seen[tenant] += 1
        if tenant == "eager":
            put(desk, "eager", 1)

    assert 18 <= seen["eager"] <= 20


def test_newcomers_hold_up_nobody(desk: Desk) -> None:
    """However many come for one task each: who waits is served after those that were before."""
    waiting = put(desk, "waits", 2)
    got: list[str] = []

    for number in range(20):
        put(desk, f"a-{number}", 1)  # sorts before "waits"
        got.append(desk.take().id)

    assert waiting[0] in got[:2]
    assert waiting[1] in got[:5]


def test_within_a_tenant_the_oldest_is_first(desk: Desk) -> None:
    """A share changes whose task is next, not which of its tasks."""
    ids = {tenant: put(desk, tenant, 20) for tenant in ("a", "b")}

    claims = desk.claim(40).claims

    for tenant, expected in ids.items():
        assert [each.id for each in claims if each.spec.tenant == tenant] == expected


# -- beside other lines ------------------------------------------------------------------------


def test_priorities_stay_as_they_are(desk: Desk) -> None:
    """A share is of one priority: urgent work of any tenant goes first."""
    put(desk, "a", 3)
    put(desk, "b", 1, priority="critical")
    put(desk, "a", 1, priority="high")

    assert served(desk, 3) == ["b", "a", "a"]


def test_a_strict_queue_is_strict_for_tenants_too(desk: Desk) -> None:
    """An old low task waits there until nothing else is left."""
    desk.configure(strict=True)
    put_aged(desk, "low", 10_000_000, tenant="old")
    put(desk, "young", 2)

    assert served(desk, 3) == ["young", "young", "old"]


def test_a_queue_that_becomes_strict_ranks_its_tenants_again(desk: Desk) -> None:
    """As it does with other lines."""
    put_aged(desk, "low", 10_000_000, tenant="old")
    put(desk, "young", 1)

    desk.configure(strict=True)

    assert served(desk, 2) == ["young", "old"]


def test_tasks_without_a_tenant_compete_by_age(desk: Desk) -> None:
    """They are nobody's, and stand in the line they always stood in."""
    oldest = put_aged(desk, "normal", 3000)
    middle = put_aged(desk, "normal", 2000, tenant="a")
    youngest = put_aged(desk, "normal", 1000)

    assert [desk.take().id for _ in range(3)] == [oldest, middle, youngest]


def test_heads_keep_one_entry_for_all_tenants(desk: Desk) -> None:
    """So that finding the best line costs the same for ten thousand tenants as for one."""
    for number in range(50):
        put(desk, f"t{number}")

    assert desk.redis("ZRANGE", desk.key("heads:default"), 0, -1) == [b"2job~"]
    assert desk.redis("ZCARD", desk.key("fair:default:2job~")) == 50


def test_a_requirement_is_no_part_of_a_tenant(desk: Desk) -> None:
    """Workers learn of the route and find its marks, whoever the tenant is."""
    put(desk, "a", role="reader")

    assert desk.redis("SMEMBERS", desk.key("routes")) == [b"default job@reader"]
    assert desk.marks("job@reader") == 1
    assert served(desk, 1) == []
    assert [each.spec.tenant for each in desk.claim(1, served=("job@reader",)).claims] == ["a"]


def test_marks_wake_for_tenants(desk: Desk) -> None:
    """A burst wakes several workers, and who takes part of it leaves a mark for the next."""
    put(desk, "a", 20)
    desk.redis("DEL", desk.key("marker:default:job"))

    desk.claim(5)

    assert desk.marks() == 1


# -- who must not hold others up ---------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 10])
def test_cancelled_tasks_cost_no_turn(desk: Desk, at_once: int) -> None:
    """Their entries stand in line until a claim comes upon them, and that is nobody's turn."""
    gone = put(desk, "fickle", 30)
    put(desk, "fickle", 30)
    put(desk, "steady", 60)
    for task_id in gone:
        desk.cancel(task_id)

    got = served(desk, 50, at_once)

    assert len(got) == 50
    assert 23 <= Counter(got)["fickle"] <= 27


def test_cancelled_tasks_do_not_hold_others_up(desk: Desk) -> None:
    """However many one tenant has: each claim finds the others' tasks, too."""
    for task_id in put(desk, "fickle", 300):
        desk.cancel(task_id)
    put(desk, "steady", 30)

    assert served(desk, 20) == ["steady"] * 20
    fickle, steady = desk.redis("ZMSCORE", desk.key("fair:default:2job~"), "fickle", "steady")
    assert float(steady) - 17 <= float(fickle) <= float(steady), (
        "nor does it save up turns for ever"
    )


def test_a_rare_turn_is_not_lost_on_a_cancelled_task(desk: Desk) -> None:
    """Who has one turn in a hundred need not wait for another hundred."""
    weigh(desk, rare=0.01)
    put(desk, "often", 200)
    gone, *_ = put(desk, "rare", 2)
    served(desk, 99)
    desk.cancel(gone)

    assert "rare" in served(desk, 5)


@pytest.mark.parametrize("at_once", [1, 10])
def test_a_limited_tenant_holds_nobody_up(desk: Desk, at_once: int) -> None:
    """Its tasks are parked as claims come upon them, and each claim serves the others, too."""
    allow(desk, "slow", concurrency=1)
    put(desk, "limited", 100, limits=("slow",))
    put(desk, "free", 60)

    got = served(desk, 40, at_once)

    assert Counter(got) == {"limited": 1, "free": 39}


def test_a_limited_tenant_has_its_share_when_it_may_go_on(desk: Desk) -> None:
    """Being parked cost it no turns, and saved none up."""
    allow(desk, "slow", concurrency=1)
    put(desk, "limited", 30, limits=("slow",))
    put(desk, "free", 100)
    served(desk, 60, 10)

    allow(desk, "slow", concurrency=50)

    assert abs(Counter(served(desk, 20, 5))["limited"] - 10) <= 1


def test_a_tenant_with_a_limit_of_its_own_holds_nobody_up(desk: Desk) -> None:
    """`tenant:<name>` needs no option of the task."""
    allow(desk, "tenant:limited", concurrency=2)
    put(desk, "limited", 50)
    put(desk, "free", 50)

    assert Counter(served(desk, 30, 3)) == {"limited": 2, "free": 28}


def test_a_crash_gives_the_turn_back(desk: Desk) -> None:
    """What its worker lost is among the next, before another round of all the others."""
    lost = put(desk, "z", 1)
    for number in range(20):
        put(desk, f"a{number}", 5)
    held = next(each for each in desk.claim(30).claims if each.id == lost[0])

    desk.release(held, reason="crash")

    assert lost[0] in [each.id for each in desk.claim(25).claims]


def test_a_paused_queue_keeps_its_turns(desk: Desk) -> None:
    """Nobody's share changes meanwhile."""
    put(desk, "a", 5)
    put(desk, "b", 5)
    desk.configure(paused=True)
    assert served(desk, 5) == []

    desk.configure(paused=False)

    assert abs(Counter(served(desk, 6))["a"] - 3) <= 1


def test_shedding_takes_from_who_has_most(desk: Desk) -> None:
    """The youngest of its tasks; who has one keeps it."""
    desk.configure(high=11)
    many = put(desk, "many", 10, priority="low")
    few = put(desk, "few", 1, priority="low")

    urgent = bulk(2, tenant="few", priority="high")
    desk.place_all(urgent, on_full="shed")

    assert [desk.state(one) for one in many] == ["ready"] * 8 + ["failed"] * 2
    assert [desk.state(one) for one in (*few, urgent[0].id, urgent[1].id)] == ["ready"] * 3


def test_purging_takes_all_tenants(desk: Desk) -> None:
    """Page by page, until nobody has a turn any more."""
    for number in range(30):
        put(desk, f"t{number}", 10)

    pages = [desk.purge(limit=100) for _ in range(4)]

    assert [amount for amount, _ in pages] == [100, 100, 100, 0]
    assert not pages[-1][1]
    assert desk.redis("EXISTS", desk.key("heads:default"), desk.key("fair:default:2job~")) == 0


def test_retries_and_delays_come_back_to_their_tenant(desk: Desk) -> None:
    """Whatever way a task becomes ready, it stands in its tenant's line."""
    (retried,) = put(desk, "a")
    desk.end(desk.take(), "retry", error(), delay_ms=1000)
    (delayed,) = put(desk, "a", delay=60)
    put(desk, "b", 3)

    desk.make_due(retried, delayed)
    desk.promote()

    assert sorted(served(desk, 5)) == ["a", "a", "b", "b", "b"]
