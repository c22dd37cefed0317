"""The round trip of every agent: an order to its workers, and a word from each child that has it.

A worker's parent passes the order on to its children and says whom it told; each child answers from
the loop on which handlers run. So an answer says that the process which has the agent lives and
turns, not only that its parent beats.

Pure: who asks gives answers in as they come, with the moment when.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from coordq.fleet.directory import AgentView
from coordq.fleet.spawners import answers_of

PING_TTL_S: Final = 60
"""An order that nobody fetched by then was for a worker that is gone."""


@dataclass(frozen=True, slots=True)
class AgentPing:
    """What became of the question whether an agent is there."""

    name: str
    state: str
    """As the registry has it: serving, outside or away."""
    answered: int
    """Children that have the agent and answered."""
    silent: tuple[str, ...]
    """Workers that did not answer, and children (`worker/2`) that did not, although theirs did."""
    best_ms: float | None
    """The shortest round trip, from here and back; None without an answer."""
    worst_ms: float | None

    @property
    def ok(self) -> bool:
        """Whether it was reached, and nobody who should have answered was silent."""
        return self.answered > 0 and not self.silent

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "name": self.name,
            "state": self.state,
            "ok": self.ok,
            "answered": self.answered,
            "silent": list(self.silent),
            "best_ms": self.best_ms,
            "worst_ms": self.worst_ms,
        }


@dataclass(slots=True)
class _Worker:
    sent_s: float
    told: set[int] | None = None
    """Its children, once its parent has said so."""
    heard: dict[int, tuple[float, frozenset[str]]] = field(default_factory=dict)
    """Of each child that answered: the round trip in ms, and its agents."""


class Roll:
    """One calling of the roll."""

    def __init__(self) -> None:
        self._workers: dict[str, _Worker] = {}

    def sent(self, worker: str, now_s: float) -> None:
        """A worker was asked."""
        self._workers[worker] = _Worker(now_s)

    def heard(self, answer: Mapping[str, Any], now_s: float) -> None:
        """Somebody answered; what cannot be understood is no answer."""
        one = self._workers.get(str(answer.get("worker")))
        children, child, agents = (answer.get(name) for name in ("children", "child", "agents"))
        if one is None:
            return
        if isinstance(children, list):
            one.told = {index for index in children if isinstance(index, int)}
        elif isinstance(child, int) and isinstance(agents, list):
            round_trip_ms = round((now_s - one.sent_s) * 1000, 3)
            one.heard[child] = round_trip_ms, frozenset(map(str, agents))

    @property
    def complete(self) -> bool:
        """Whether nobody is left to be waited for."""
        return all(
            one.told is not None and one.told <= one.heard.keys() for one in self._workers.values()
        )

    def result(self, agents: Iterable[AgentView]) -> tuple[AgentPing, ...]:
        """What became of each, in the order given."""
        return tuple(self._of(view) for view in agents)

    def _of(self, view: AgentView) -> AgentPing:
        times, silent = [], []
        for name in view.workers:
            one = self._workers.get(name)
            if one is None or one.told is None:
                silent.append(name)
                continue
            times += [ms for ms, agents in one.heard.values() if view.name in agents]
            silent += [f"{name}/{index}" for index in sorted(one.told - one.heard.keys())]
        best, worst = (min(times), max(times)) if times else (None, None)
        return AgentPing(view.name, view.state, len(times), tuple(silent), best, worst)


def order(ping_id: str) -> str:
    """What is put into a worker's inbox."""
    return json.dumps({"do": "ping", "id": ping_id}, separators=(",", ":"))


def answers(ping_id: str) -> str:
    """What the inbox is called in which the answers arrive."""
    return answers_of(ping_id)
