"""How names are laid out when only the kind of a topology was said."""

from __future__ import annotations

from collections.abc import Sequence

from coordq.fleet.topology.shape import Pair


def branches(names: Sequence[str], fanout: int) -> tuple[Pair, ...]:
    """A tree that is filled from the top, `fanout` below each: who reports to whom."""
    return tuple((names[at], names[(at - 1) // fanout]) for at in range(1, len(names)))


def regrouped(
    groups: Sequence[Sequence[str]], names: Sequence[str], size: int
) -> tuple[tuple[str, ...], ...]:
    """Groups of up to `size` out of those that there were, after some came and some left.

    Those who come fill what has room, evenly; when twice as many groups are there as are needed,
    the smallest are dissolved.
    """
    known = set(names)
    kept = [[one for one in group if one in known] for group in groups]
    kept = sorted((group for group in kept if group), key=len, reverse=True)
    needed = -(-len(names) // size)
    if len(kept) > 2 * needed:
        del kept[needed:]
    placed = {one for group in kept for one in group}
    coming = [one for one in names if one not in placed]
    room = sum(max(0, size - len(group)) for group in kept)
    kept += [[] for _ in range(-(-max(0, len(coming) - room) // size))]
    for one in coming:
        min(kept, key=len).append(one)
    return tuple(tuple(group) for group in kept)
