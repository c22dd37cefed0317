"""Scenes of a lost reply: tenants and their turns."""

from __future__ import annotations

from typing import Any

from coordq.engine.call import Call
from coordq.work import claim, queue, tenant
from tests.work.desk import Desk, ask, bulk
from tests.work.scenes import Check, scene


def passes(desk: Desk) -> dict[str, float]:
    """How far each tenant is."""
    flat = desk.redis("ZRANGE", desk.key("fair:default:2job~"), 0, -1, "WITHSCORES")
    return {flat[at].decode(): float(flat[at + 1]) for at in range(0, len(flat), 2)}


@scene
def claim_from_tenants(desk: Desk) -> tuple[Call[Any], Check]:
    """The same tasks, and each tenant has paid once."""
    for name in ("a", "b"):
        desk.place_all(bulk(10, tenant=name))
    before = passes(desk)

    def check(claimed: Any) -> None:
        assert [each.spec.tenant for each in claimed.claims] == ["a", "a", "b", "a"]
        assert passes(desk) == {"a": before["a"] + 3, "b": before["b"] + 1}
        assert desk.run(tenant.one(0, "a")).served == 3

    return claim.claim(0, ask(4)), check


@scene
def weigh_tenant(desk: Desk) -> tuple[Call[Any], Check]:
    """What was left of its way is halved once, not twice."""
    desk.place_all(bulk(10, tenant="a"))
    desk.place_all(bulk(10, tenant="b"))
    before = passes(desk)

    def check(known: Any) -> None:
        assert known is True
        assert passes(desk) == {"a": before["a"], "b": (before["a"] + before["b"]) / 2}

    return tenant.weigh(0, "b", 2), check


@scene
def weigh_tenant_at_a_queue(desk: Desk) -> tuple[Call[Any], Check]:
    """The same there, and nothing elsewhere."""
    desk.place_all(bulk(10, tenant="a"))
    desk.place_all(bulk(10, tenant="b"))
    before = passes(desk)

    def check(_: Any) -> None:
        assert passes(desk) == {"a": before["a"], "b": (before["a"] + before["b"]) / 2}
        assert desk.run(tenant.one(0, "b")).queues == {"default": 2}

    return tenant.weigh(0, "b", 2, queue="default"), check


@scene
def forget_tenant(desk: Desk) -> tuple[Call[Any], Check]:
    """Gone is gone; that it was known is what the first call saw."""
    desk.run(tenant.weigh(0, "a", 3))

    def check(_: Any) -> None:
        assert desk.run(tenant.one(0, "a")) is None

    return tenant.forget(0, "a"), check


@scene
def look_at_tenants(desk: Desk) -> tuple[Call[Any], Check]:
    """Looking changes nothing."""
    desk.place_all(bulk(3, tenant="a"))

    def check(page: Any) -> None:
        assert page.found == (tenant.TenantView("a", 1, served=0, backlog=3),)

    return tenant.page(0), check


@scene
def stop_taking_turns(desk: Desk) -> tuple[Call[Any], Check]:
    """Each tenant stands at the age of its first task, however often that is said."""
    for name in ("a", "b"):
        desk.place_all(bulk(2, tenant=name))
    ages = {name: desk.redis("LINDEX", desk.key(f"line:default:2job~{name}"), 0) for name in "ab"}

    def check(seen: Any) -> None:
        assert not seen.fair
        assert passes(desk) == {name: int(ages[name][:9], 32) for name in "ab"}

    return queue.configure(0, "default", fair=False), check
