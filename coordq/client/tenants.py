"""The tenants door of the sync client: for whom tasks are done, and each one's share."""

from __future__ import annotations

from coordq.client import tenant_plans as plans
from coordq.client.drive import drive
from coordq.engine.connection import Engine
from coordq.work.tenant import TenantView


class Tenants:
    """Tenants of a namespace: tasks name theirs with tenant=. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._shards = engine.shards

    def ls(self) -> list[TenantView]:
        """All tenants that ever came, by name."""
        return drive(self._engine, plans.ls(self._shards))

    def get(self, name: str) -> TenantView:
        """One tenant. Raises TenantNotFound, InvalidName."""
        return drive(self._engine, plans.get(self._shards, name))

    def set_weight(self, name: str, weight: float, *, queue: str = "") -> TenantView:
        """Its share from now on, relative to the others: 0.001 to 1000; 1 unless set.

        queue: where it counts, in place of its general weight; "" for that.
        Also of a tenant that is yet to come. Raises InvalidLimit, InvalidName.
        """
        return drive(self._engine, plans.set_weight(self._shards, name, weight, queue=queue))

    def rm(self, name: str, *, queue: str = "") -> None:
        """Forget its weights and how often it was served; its tasks stay. Raises TenantNotFound.

        queue: forget its weight there only; the general one counts again.
        """
        drive(self._engine, plans.rm(self._shards, name, queue=queue))
