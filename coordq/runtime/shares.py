"""What each agent has done: how often its handlers succeeded and failed, and how long that took.

A child counts by agent, in rows of its ledger: the first is coordq's own agent, then those that it
has loaded, in order, and the last is for all for whom there is no row of their own. Its parent
knows the agents, so it reads the rows by the same rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import add
from typing import Final

from coordq.runtime.ledger import SHARES, Ledger

LAST: Final = SHARES - 1
"""The row of all for whom there is none."""
BUILTIN: Final = "coordq"
"""The agent that every child has beside those it has loaded."""
REST: Final = "*"
"""Stands for the agents without a row; no agent can be called so."""
WORDS: Final = ("succeeded", "failed", "worked_ms", "running")
"""What is counted: runs that ended well or not, how long these took, and claims held now."""

Sums = dict[str, list[int]]
"""Agent -> its counts, in the order of WORDS."""


class Share:
    """What one agent has done in one child. Every task passes here, so it is plain numbers."""

    __slots__ = ("failed", "row", "running", "succeeded", "worked_s")

    def __init__(self, row: int) -> None:
        self.row = row
        self.succeeded = 0
        self.failed = 0
        self.worked_s = 0.0
        self.running = 0


class Shares(dict[str, Share]):
    """Task name -> what its agent has done. agents: name and task names of each, as loaded."""

    def __init__(self, agents: Sequence[tuple[str, Iterable[str]]] = ()) -> None:
        super().__init__()
        self._shares = {row: Share(row) for row in rows([name for name, _ in agents])}
        for row, (_, tasks) in enumerate(agents, 1):
            self.update(dict.fromkeys(tasks, self._shares[min(row, LAST)]))

    def __missing__(self, task: str) -> Share:
        """One that nobody has loaded: coordq's own, or a name that this child does not know."""
        return self._shares[0 if task.startswith(f"{BUILTIN}.") else LAST]

    def note(self, ledger: Ledger, held: Iterable[str]) -> None:
        """Write it all into the ledger. held: the task names of all claims that are held."""
        for share in self._shares.values():
            share.running = 0
        for task in held:
            self[task].running += 1
        for one in self._shares.values():
            counts = [one.succeeded, one.failed, int(one.worked_s * 1000), one.running]
            ledger.put_share(one.row, counts)


def rows(agents: Sequence[str]) -> dict[int, str]:
    """Which row of a ledger is about whom."""
    return {**dict(enumerate([BUILTIN, *agents][:LAST])), LAST: REST}


def read(ledger: Ledger, agents: Sequence[str], *, gone: bool = False) -> Sums:
    """What a child has noted; agents: its own, as it has introduced them. Who is gone runs nothing.

    Agents of one name count as one.
    """
    sums: Sums = {}
    for row, name in rows(agents).items():
        counts = ledger.share(row)
        if gone:
            counts[WORDS.index("running")] = 0
        add_to(sums, name, counts)
    return sums


def add_to(sums: Sums, name: str, counts: Sequence[int]) -> None:
    """Count more of an agent."""
    before = sums.get(name)
    sums[name] = list(counts) if before is None else list(map(add, before, counts))


def added(left: Sums, right: Sums) -> Sums:
    """Both together."""
    sums = dict(left)
    for name, counts in right.items():
        add_to(sums, name, counts)
    return sums


def told(sums: Sums) -> dict[str, dict[str, int]]:
    """As the parent tells it to the fleet: agents that have done nothing are left out."""
    return {
        name: dict(zip(WORDS, counts, strict=True)) for name, counts in sums.items() if any(counts)
    }
