"""The tenants door, on both clients, and on a namespace of several shards."""

from __future__ import annotations

import asyncio

import pytest

import coordq
from coordq.errors import InvalidLimit, InvalidName, TenantNotFound
from coordq.work.tenant import TenantView


def test_a_tenant_is_known_once_it_has_come(client: coordq.Client) -> None:
    """With the weight 1, and what it waits for."""
    assert client.tenants.ls() == []

    client.work.enqueue("job", tenant="acme")

    assert client.tenants.ls() == [TenantView("acme", 1, served=0, backlog=1)]
    assert client.work.get(client.work.enqueue("job", tenant="b").id).spec.tenant == "b"


def test_a_weight_may_be_set_before_a_tenant_comes(client: coordq.Client) -> None:
    """As an operator would: first the contract, then the work."""
    assert client.tenants.set_weight("acme", 2.5) == TenantView("acme", 2.5, served=0, backlog=0)
    assert client.tenants.get("acme").to_json() == {
        "tenant": "acme",
        "weight": 2.5,
        "served": 0,
        "backlog": 0,
        "queues": {},
    }

    client.tenants.rm("acme")

    assert client.tenants.ls() == []


def test_a_weight_may_count_at_one_queue(sharded_url: str) -> None:
    """On all shards, also before tenant and queue are there; and be forgotten by itself."""
    with coordq.connect(sharded_url) as client:
        assert client.tenants.set_weight("acme", 9, queue="mail").queues == {"mail": 9}
        client.tenants.set_weight("acme", 2)
        assert client.tenants.get("acme") == TenantView("acme", 2, 0, 0, {"mail": 9})

        client.tenants.rm("acme", queue="mail")

        assert client.tenants.get("acme").queues == {}
        with pytest.raises(TenantNotFound, match="no weight of its own at queue 'mail'"):
            client.tenants.rm("acme", queue="mail")
        with pytest.raises(InvalidName):
            client.tenants.set_weight("acme", 1, queue="no spaces")


def test_who_never_came_is_not_found(client: coordq.Client) -> None:
    """Neither looked at nor forgotten; the message says where to look."""
    for attempt in (client.tenants.get, client.tenants.rm):
        with pytest.raises(TenantNotFound, match="coordq tenant ls") as caught:
            attempt("nobody")
        assert caught.value.facts == {"tenant": "nobody"}


def test_a_bad_weight_changes_nothing(client: coordq.Client) -> None:
    """It is refused before the first shard hears of it."""
    with pytest.raises(InvalidLimit):
        client.tenants.set_weight("acme", 0)

    assert client.tenants.ls() == []


def test_the_async_door_does_the_same(redis_url: str, namespace: str) -> None:
    """Name by name."""

    async def visit() -> None:
        async with coordq.connect_async(redis_url, namespace=namespace) as client:
            await client.work.enqueue("job", tenant="acme")
            assert await client.tenants.set_weight("acme", 3) == TenantView("acme", 3, 0, 1)
            assert await client.tenants.ls() == [await client.tenants.get("acme")]
            await client.tenants.rm("acme")
            assert (await client.tenants.get("acme")).weight == 1

    asyncio.run(visit())


def test_shards_are_put_together() -> None:
    """A tenant's tasks lie on all of them; its weight is the same on each."""
    from coordq.work.tenant import merge

    parts = [TenantView("b", 1, 1, 1), TenantView("a", 3, 10, 2), TenantView("a", 3, 5, 4)]

    assert merge(parts) == [TenantView("a", 3, 15, 6), TenantView("b", 1, 1, 1)]
