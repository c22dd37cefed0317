"""An order in which every node comes after those it waits for, or the cycle that forbids it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Final, TypeVar

from coordq.work.flow.refusal import refuse

T = TypeVar("T")

SHOWN_MAX: Final = 12
"""Nodes of a cycle that a message names."""


def ordered(
    flow: str, before: Mapping[T, Iterable[T]], key_of: Callable[[T], str]
) -> tuple[T, ...]:
    """Every node, after those that `before` names for it, otherwise in the given order.

    Raises InvalidFlow with the path of a cycle, as keys.
    """
    try:
        return tuple(TopologicalSorter(before).static_order())
    except CycleError as error:
        path = [key_of(node) for node in error.args[1]]
        shown = path if len(path) <= SHOWN_MAX else [*path[: SHOWN_MAX - 1], "...", path[-1]]
        one = len(path) == 2  # noqa: PLR2004 - a node and itself
        what = "it waits for itself" if one else f"tasks wait for each other: {' -> '.join(shown)}"
        refuse(flow, path[0] if one else "", what, path=path)


def layers(before: Mapping[T, Iterable[T]], order: Iterable[T]) -> dict[T, int]:
    """How many steps each node is away from a start, on the longest way there."""
    depth: dict[T, int] = {}
    for node in order:
        depth[node] = 1 + max((depth[one] for one in before[node]), default=-1)
    return depth
