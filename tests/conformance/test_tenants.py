"""Tenants take turns on every engine, and by the same arithmetic."""

from __future__ import annotations

from coordq.client.client import connect
from coordq.ids import new_id
from coordq.work.enqueue import enqueue_many
from tests.work.desk import Desk, bulk, order

WEIGHTS = {"a": 1.0, "b": 2.5, "c": 0.3}


def by_definition(amount: int) -> list[str]:
    """Whoever has the lowest pass is next; a turn adds 1 / weight, as coming did."""
    passes = {tenant: 1.0 + (tenant != "a") / weight for tenant, weight in WEIGHTS.items()}
    order_of = []
    for _ in range(amount):
        first = min(passes, key=lambda tenant: (passes[tenant], tenant))
        order_of.append(first)
        passes[first] += 1 / WEIGHTS[first]
    return order_of


def test_tenants_take_turns(engine_url: str, namespace: str) -> None:
    """In one order, to the last bit of a pass: it is kept as text between calls."""
    with connect(engine_url, namespace=namespace) as client:
        desk = Desk(client.engine)
        for tenant, weight in WEIGHTS.items():
            client.tenants.set_weight(tenant, weight)
            desk.place_all(bulk(30, tenant=tenant))

        order_of = [claim.spec.tenant for _ in range(9) for claim in desk.claim(3).claims]

        assert order_of == by_definition(27)
        assert {one.name: one.served for one in client.tenants.ls()} == {
            tenant: order_of.count(tenant) for tenant in WEIGHTS
        }


def test_shards_keep_shares_of_their_own(cluster_url: str, namespace: str) -> None:
    """A weight counts on all of them; what is seen is their sum."""
    with connect(cluster_url, namespace=namespace) as client:
        client.tenants.set_weight("a", 3)
        shards = range(client.engine.shards)
        for shard in shards:
            for tenant in ("a", "b"):
                made = [order(id=new_id(shard), tenant=tenant) for _ in range(8)]
                client.engine.run(enqueue_many(made, on_full="wait"))

        taken = [Desk(client.engine, shard).claim(8).claims for shard in shards]

        for claims in taken:
            assert 5 <= [claim.spec.tenant for claim in claims].count("a") <= 7
        view = client.tenants.get("a")
        assert (view.weight, view.served + view.backlog) == (3, 8 * len(shards))
