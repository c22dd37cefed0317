"""Operations on tenants, written once for both clients."""

from __future__ import annotations

from coordq.client.plan import Plan
from coordq.errors import TenantNotFound
from coordq.work import tenant as tenants
from coordq.work.tenant import Tenants, TenantView


def ls(shards: int) -> Plan[list[TenantView]]:
    """All tenants that ever came, by name."""
    parts: list[TenantView] = []
    for shard in range(shards):
        found: dict[str, TenantView] = {}
        cursor = "0"
        while True:
            page: Tenants = yield tenants.page(shard, cursor)
            found |= {view.name: view for view in page.found}
            cursor = page.cursor
            if cursor == "0":
                break
        parts += found.values()
    return tenants.merge(parts)


def get(shards: int, name: str) -> Plan[TenantView]:
    """One tenant. Raises TenantNotFound."""
    parts: list[TenantView] = []
    for shard in range(shards):
        part: TenantView | None = yield tenants.one(shard, name)
        parts += [part] if part is not None else []
    if not parts:
        raise _unknown(name)
    return tenants.merge(parts)[0]


def set_weight(shards: int, name: str, weight: float, *, queue: str) -> Plan[TenantView]:
    """Set a tenant's weight at a queue, "" for all, also of one that is yet to come."""
    for shard in range(shards):
        yield tenants.weigh(shard, name, weight, queue=queue)
    return (yield from get(shards, name))


def rm(shards: int, name: str, *, queue: str) -> Plan[None]:
    """Forget a tenant's weights and count, or its weight at a queue. Raises TenantNotFound."""
    known = False
    for shard in range(shards):
        known |= yield tenants.forget(shard, name, queue=queue)
    if not known and queue:
        raise TenantNotFound(
            f"Tenant {name!r} has no weight of its own at queue {queue!r}. "
            "`coordq tenant ls` lists them.",
            tenant=name,
            queue=queue,
        )
    if not known:
        raise _unknown(name)


def _unknown(name: str) -> TenantNotFound:
    return TenantNotFound(
        f"There is no tenant {name!r}: none came, and no weight was set. "
        "`coordq tenant ls` lists them.",
        tenant=name,
    )
