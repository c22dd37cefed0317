"""How a flow gets on: what has ended, what runs and how far that is, and when it will be over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from coordq.work.flow.critical import Forecast, foresee
from coordq.work.flow.graph import graph_of_view
from coordq.work.flow.milestones import Milestone, milestones
from coordq.work.flow.view import FlowView, NodeView
from coordq.work.progress import Progress

BUSY: Final = frozenset({"running", "suspended"})


@dataclass(frozen=True, slots=True)
class Busy:
    """A task of a flow that runs, or waits for somebody's answer."""

    node: NodeView
    progress: Progress | None = None
    """What it says of itself."""
    left_s: float | None = None
    """How long it will still take: by its own word, at its pace, or as others of its name took."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "key": self.node.key,
            "id": self.node.id,
            "name": self.node.name,
            "state": self.node.state,
            "worker": self.node.worker,
            "progress": self.progress.to_json() if self.progress else None,
            "left_s": self.left_s,
        }


@dataclass(frozen=True, slots=True)
class Outlook:
    """A flow, how it gets on, and what is to be expected of it."""

    flow: FlowView
    busy: tuple[Busy, ...]
    forecast: Forecast
    milestones: tuple[Milestone, ...]
    per_s: float | None
    """How many of its tasks have ended a second, since it was started; None before the first."""

    @property
    def left_s(self) -> float | None:
        """Seconds until all has ended if it goes on like this; None while nobody can say."""
        if self.flow.ended or self.per_s is None or self.forecast.waits:
            return None
        return self.flow.left / self.per_s

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without the tasks that neither run nor wait."""
        told = self.flow.to_json()
        del told["nodes"], told["edges"]
        return told | {
            "fraction": self.flow.fraction,
            "per_s": self.per_s,
            "left_s": self.left_s,
            "busy": [one.to_json() for one in self.busy],
            "milestones": [one.to_json() for one in self.milestones],
            "forecast": self.forecast.to_json(),
        }


def outlook(
    view: FlowView,
    *,
    pace: Mapping[str, float],
    progress: Mapping[str, Progress | None],
    now_ms: int,
) -> Outlook:
    """What is to be told of a flow whose tasks and edges were looked at.

    pace: mean durations in ms by task name. progress: of each busy task, by id.
    """
    since_ms = {node.id: float(node.since_ms) for node in view.nodes if node.since_ms}
    forecast = foresee(graph_of_view(view), pace, now_ms=now_ms, since_ms=since_ms)
    states = {node.key: view.standing_for(node).state for node in view.nodes}
    busy = tuple(
        _busy(node, progress.get(node.id), forecast, now_ms)
        for node in view.nodes
        if node.state in BUSY
    )
    spent_s = ((view.ended_ms or now_ms) - view.started_ms) / 1000 if view.started_ms else 0.0
    ended = view.total - view.left
    return Outlook(
        flow=view,
        busy=busy,
        forecast=forecast,
        milestones=milestones(view.about, states, now_ms=now_ms, expected_ms=forecast.expected),
        per_s=ended / spent_s if ended and spent_s > 0 else None,
    )


def _busy(node: NodeView, said: Progress | None, forecast: Forecast, now_ms: int) -> Busy:
    if node.state != "running":
        return Busy(node)
    left_s = said.left_s((now_ms - node.since_ms) / 1000) if said else None
    timing = forecast.timings.get(node.key)
    if left_s is None and timing is not None and node.name not in forecast.guessed:
        left_s = timing.duration_ms / 1000
    return Busy(node, said, left_s)
