"""How one client routes texts: agents of the registry and routes by hand, in one router."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any, Final

from coordq.clock import monotonic
from coordq.fleet.directory import AWAY, AgentView, Directory, Wanted
from coordq.fleet.directory import STATES as ALL_STATES
from coordq.fleet.semantic.cache import Caching
from coordq.fleet.semantic.embedder import Embedding
from coordq.fleet.semantic.file import RoutesFile, read_routes
from coordq.fleet.semantic.lexical import Lexical
from coordq.fleet.semantic.router import Router
from coordq.fleet.semantic.routes import Route, Routes, check_text, checked
from coordq.fleet.semantic.said import phrases
from coordq.fleet.semantic.vectors import WordVectors

FRESH_S: Final = 1.0
"""The registry is asked for news when the last are older."""


class Guide:
    """A router that knows the agents of a directory. Thread-safe."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self._lock = Lock()  # never held while an embedder is at work
        self._renewing = Lock()
        self._asked_s = float("-inf")
        self._seen: object = None
        self._agents = True
        self._declared: Mapping[str, Route] = {}
        self.router = Router()

    def use(
        self,
        *,
        routes: Routes | None = None,
        file: str | Path | None = None,
        agents: bool = True,
        embedder: Embedding = None,
        threshold: float | None = None,
        fallback: str | None = None,
        caching: Caching | None = None,
    ) -> None:
        """Route so from now on; nothing is changed when any of it cannot be used."""
        told = RoutesFile() if file is None else read_routes(Path(file))
        declared = {**told.routes, **checked(routes or {})}
        router = Router(
            declared,
            embedder=told.embedder if embedder is None else embedder,
            threshold=told.threshold if threshold is None else threshold,
            fallback=told.fallback if fallback is None else fallback,
            caching=caching,
        )
        with self._lock:
            self.router, self._declared, self._agents = router, declared, agents
            self._asked_s, self._seen = float("-inf"), None

    @staticmethod
    def check(text: str) -> None:
        """Refuse what cannot be routed before anybody is asked. Raises as `Router.route`."""
        check_text(text)

    @property
    def is_quick(self) -> bool:
        """Whether its embedder may be asked on an event loop: no file, no network, no wait."""
        return isinstance(self.router.embedder, Lexical | WordVectors)

    def wants_news(self) -> bool:
        """Whether the registry should be asked; who hears yes asks for all others too."""
        with self._lock:
            now_s = monotonic()
            if not self._agents or now_s - self._asked_s < FRESH_S:
                return False
            if self._seen is not None:  # the first time all wait for what is there
                self._asked_s = now_s
            return True

    def asked_in_vain(self) -> None:
        """The registry did not answer: whoever comes next asks again."""
        with self._lock:
            self._asked_s = float("-inf")

    def renew(self) -> None:
        """Take in the agents that the directory knows now. Raises InvalidEmbedding."""
        with self._renewing:
            views = self.directory.find(Wanted(states=frozenset(ALL_STATES)))
            here = {view.name: view.version for view in views if _is_reached(view)}
            with self._lock:
                router, declared, seen = self.router, self._declared, self._seen
            now = (self.directory.revision, here)
            if now != seen:
                said = dict(_described(view) for view in views if view.name in here)
                routes = {name: texts for name, texts in said.items() if texts}
                router.update({**routes, **declared}, router.version + 1)
            with self._lock:
                if router is self.router:  # else `use` was called meanwhile
                    self._seen, self._asked_s = now, monotonic()


def _is_reached(view: AgentView) -> bool:
    """Whether somebody reads what it is sent: itself, or its stand-in."""
    return view.state != AWAY or view.stood_in_by is not None


def _described(view: AgentView) -> tuple[str, Any]:
    return view.name, phrases(view.interests, view.capabilities, view.persona.get("domain"))
