"""Finds out that there is nothing left to do, for a worker that should end then.

A round asks every child; a child answers once it holds nothing and a claim on every shard has
brought nothing. One round is not enough: a child that answered early may have been handed work
since, by the task of one that answered late. Two rounds without a start in between are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from coordq.runtime.process import ChildProcess, Phase


class Burst:
    """The rounds of one worker."""

    def __init__(self, *, done: Callable[[], None]) -> None:
        self._done = done
        self._round = 0
        self._answers: dict[str, int] = {}
        self._before: dict[str, int] | None = None

    def look(self, children: Sequence[ChildProcess]) -> None:
        """Children came or went: ask all that serve, anew."""
        self._before = None
        self._ask(children)

    def answer(
        self, child: ChildProcess, number: int, started: int, children: Sequence[ChildProcess]
    ) -> None:
        """A child says that it is idle."""
        if number != self._round:
            return
        self._answers[child.name] = started
        if any(one.phase is Phase.STARTING for one in children):
            return
        if any(one.name not in self._answers for one in children):
            return
        if self._before == self._answers:
            self._done()
            return
        self._before = self._answers
        self._ask(children)

    def _ask(self, children: Sequence[ChildProcess]) -> None:
        self._round += 1
        self._answers = {}
        for child in children:
            if child.phase is Phase.SERVING:
                child.say({"do": "check", "round": self._round})
