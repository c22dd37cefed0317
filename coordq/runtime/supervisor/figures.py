"""The part that tells what the parts have done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from coordq.fleet.report import publish
from coordq.runtime.supervisor.part import Part
from coordq.runtime.supervisor.term import Term

EVERY_S: Final = 5.0
KEPT_MS: Final = 30_000


class Figures(Part):
    """Publishes the figures of all parts, its own among them."""

    name: ClassVar[str] = "figures"

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__()
        self._parts = (*parts, self)

    async def round(self, term: Term) -> float:
        """Publish them."""
        facts = {part.name: part.figures() for part in self._parts}
        await term.run(publish(term.epoch, "parts", facts, KEPT_MS))
        return EVERY_S
