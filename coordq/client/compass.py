"""What one client goes by when it looks for whom to ask: the registry, breakers, and a guide."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from coordq.client.choice_plans import Beliefs
from coordq.fleet.directory import Directory

if TYPE_CHECKING:
    from coordq.client.guide import Guide


class Compass:
    """Shared by the doors that choose: `client.routing` and `client.bus.route`. Thread-safe."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.beliefs = Beliefs()
        self._lock = Lock()
        self._made: Guide | None = None

    @property
    def guide(self) -> Guide:
        """Made when it is first asked for: whoever does not route loads nothing for it."""
        from coordq.client.guide import Guide

        with self._lock:
            if self._made is None:
                self._made = Guide(self.directory)
            return self._made
