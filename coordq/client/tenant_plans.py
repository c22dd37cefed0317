"""Operations on tenants, written once for both clients."""

from __future__ import annotations

from coordq.client.plans import Plan
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


def set_weight(shards: int, name: str, weight: float) -> Plan[TenantView]:
    """Set a tenant's weight, also of one that is yet to come."""
    for shard in range(shards):
        yield tenants.weigh(shard, name, weight)
    return (yield from get(shards, name))


def rm(shards: int, name: str) -> Plan[None]:
    """Forget a tenant's weight and count. Raises TenantNotFound."""
    known = False
    for shard in range(shards):
        known |= yield tenants.forget(shard, name)
    if not known:
        raise _unknown(name)


def _unknown(name: str) -> TenantNotFound:
    return TenantNotFound(
        f"There is no tenant {name!r}: none came, and no weight was set. "
        "`coordq tenant ls` lists them.",
        tenant=name,
    )
