"""Chapter 27. Fair share: one tenant's thousands of tasks do not hold up another's ten."""

from __future__ import annotations

import json
from collections import Counter
from uuid import uuid4

import pytest

from coordq import Client
from coordq.errors import InvalidLimit
from tests.manual.conftest import Shell

AGENTS = """
from itertools import count

from coordq import Agent

agent = Agent("printer")
turns = count()


@agent.task
async def print_label(text: str) -> int:
    return next(turns)
"""
pytestmark = pytest.mark.usefixtures("worker")


def order_of(client: Client, work: dict[str, int]) -> list[str]:
    """Whose task ran when: all of it is enqueued first, then the queue is opened."""
    client.work.pause("default")
    handles = [
        (tenant, handle)
        for tenant, amount in work.items()
        for handle in client.work.enqueue_many(
            [("print_label", {"text": uuid4().hex})] * amount, tenant=tenant
        )
    ]
    client.work.resume("default")
    ran = [(handle.result(timeout=60), tenant) for tenant, handle in handles]
    return [tenant for _, tenant in sorted(ran)]


def test_tenants_take_turns(client: Client) -> None:
    """Say for whom a task is done, and each gets its share, however much the others have to do."""
    order = order_of(client, {"megacorp": 200, "bakery": 10, "school": 10})

    assert Counter(order[:40])["bakery"] == 10, "it did not wait for the two hundred before it"
    assert Counter(order[:40])["school"] == 10
    assert order[-100:] == ["megacorp"] * 100, "and all of megacorp's tasks have run"


def test_a_weight_is_a_larger_share(client: Client) -> None:
    """Three turns to the others' one; it counts at once, also for what waits already."""
    client.tenants.set_weight("megacorp", 3)

    order = order_of(client, {"bakery": 100, "megacorp": 100})

    assert 70 <= Counter(order[:100])["megacorp"] <= 80


def test_a_weight_may_count_at_one_queue(client: Client, shell: Shell) -> None:
    """In place of the general one: a contract about mail says nothing about labels."""
    shell("tenant", "weight", "school", "4", "--queue", "mail")

    assert client.tenants.get("school").queues == {"mail": 4}
    assert "mail 4" in shell("tenant", "ls")
    shell("tenant", "rm", "school", "--queue", "mail")
    assert client.tenants.get("school").queues == {}


def test_a_queue_may_do_without_turns(client: Client, shell: Shell) -> None:
    """`fair=False`, `--in-order`: its tasks start by age, whosever they are; `--fair` ends that."""
    shell("queue", "limit", "default", "--in-order")
    assert "in order of age" in shell("queue", "show", "default")

    order = order_of(client, {"bakery": 60, "megacorp": 10})

    assert set(order[:50]) == {"bakery"}, "megacorp came later, and all of it starts later"
    assert client.work.limit("default", fair=True).fair


def test_tenants_can_be_seen(client: Client, shell: Shell) -> None:
    """Who came, with which weight, how much was done and what waits."""
    shell("tenant", "weight", "school", "0.5")
    listed = {one["tenant"]: one for one in json.loads(shell("tenant", "ls", "--json"))}

    assert listed["school"]["weight"] == 0.5
    assert listed["megacorp"]["served"] == client.tenants.get("megacorp").served > 200
    assert listed["bakery"]["backlog"] == 0


def test_a_share_of_nothing_is_refused(client: Client) -> None:
    """With the weight 0 a tenant's tasks would wait for ever, and nobody would know."""
    with pytest.raises(InvalidLimit):
        client.tenants.set_weight("school", 0)
