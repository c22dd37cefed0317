"""Notices that a file of the targets has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

POLL_S: Final = 0.5

Snapshot = dict[str, tuple[int, int]]


def snapshot(targets: Sequence[str]) -> Snapshot:
    """Modification time and size of every file that counts."""
    from coordq.runtime.loader import watched

    seen: Snapshot = {}
    for file in watched(targets):
        try:
            facts = file.stat()
        except OSError:
            continue
        seen[str(file)] = (facts.st_mtime_ns, facts.st_size)
    return seen


async def watch(
    targets: Sequence[str],
    known: Snapshot,
    on_change: Callable[[list[str]], Awaitable[None]],
) -> None:
    """Call `on_change` with the files that differ from `known`, once they have stopped changing.

    For ever. Take the first snapshot before anything is loaded, or a change in between is missed.
    """
    latest = known
    while True:
        await asyncio.sleep(POLL_S)
        now = await asyncio.to_thread(snapshot, targets)
        if now == latest and now != known:
            changed = sorted(name for name, _ in set(now.items()) ^ set(known.items()))
            known = now
            await on_change(list(dict.fromkeys(changed)))
        latest = now
