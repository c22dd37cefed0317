"""How a flow that cannot be carried out is refused: by its name, and that of the node."""

from __future__ import annotations

from typing import Any, NoReturn

from coordq.errors import InvalidFlow


def refuse(flow: str, key: str, why: str, **facts: Any) -> NoReturn:
    """Raise InvalidFlow about a node of a flow, or about the flow when `key` is empty."""
    where = f"flow {flow!r}, {key!r}" if key else f"flow {flow!r}"
    raise InvalidFlow(f"{where}: {why}.", flow=flow, node=key, **facts)
