"""The tasks' side of a history: each shard's stream, walked once, task by task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from coordq.interfaces.chaos.history import History
from coordq.interfaces.chaos.violation import Violation
from coordq.work.events import Event

ENDS: Final = frozenset({"succeeded", "failed", "cancelled", "skipped"})
OUTCOMES: Final = frozenset({"succeeded", "retrying", "snoozed", "suspended"})
"""Written by a finish, so they carry the fence of the claim that it committed."""
GIVEN_BACK: Final = frozenset({"released", "crashed", "lapsed"})
MOVES: Final = frozenset({"waiting", "unblocked", "resumed", "ready", "scheduled", "running"})
STEPS: Final = ENDS | OUTCOMES | GIVEN_BACK | MOVES | {"requeued"}
"""Each of these raises the version of a task by one."""
ADMINISTRATIVE: Final = ("poison", "expired", "deadline")
"""Reasons of dead letters that no handler gave."""


@dataclass(slots=True)
class Life:
    """What the events say of one task."""

    version: int = 0
    last: str = ""
    fence: int = 0
    """The last one that was granted."""
    held: bool = False
    runs: int = 0
    ended: str = ""
    """How it ended; empty while it has not."""
    end_fence: int = 0
    ended_ms: int = 0
    detail: str = ""


def check_lives(history: History) -> tuple[dict[str, Life], list[Violation]]:
    """Every task's life, and what is wrong with them."""
    lives: dict[str, Life] = {}
    found: list[Violation] = []
    for shard, events in history.events.items():
        walk = _Walk(history, lives, found, _highest_undone(history, shard))
        for event in events:
            if event.kind in STEPS:
                walk.step(event)
    return lives, found


def _highest_undone(history: History, shard: int) -> list[tuple[str, int]]:
    """Fences that a failover took back with the claims that had them: (where, fence)."""
    return [
        (event.at, event.fence)
        for lost in history.undone.get(shard, ())
        for event in lost
        if event.kind == "running"
    ]


class _Walk:
    """One pass over one shard's events."""

    def __init__(
        self,
        history: History,
        lives: dict[str, Life],
        found: list[Violation],
        undone: list[tuple[str, int]],
    ) -> None:
        self._history, self._lives, self._found = history, lives, found
        self._undone = sorted(undone, key=lambda one: _ms(one[0]), reverse=True)
        self._highest = 0
        self._keys: dict[str, str] = {}

    def step(self, event: Event) -> None:
        """Take one event into account."""
        life = self._lives.get(event.subject)
        if life is None:
            life = self._lives[event.subject] = Life()
        self._check_version(event, life)
        if event.kind == "running":
            self._grant(event, life)
        elif event.kind in ENDS:
            self._end(event, life)
        elif event.kind in OUTCOMES:
            self._commit(event, life)
        elif event.kind in GIVEN_BACK:
            self._give_back(event, life)
        elif event.version == 1:
            self._enter(event)
        elif event.kind == "requeued":
            life.ended = ""
        life.version, life.last = event.version, event.kind

    def _say(self, rule: str, event: Event, told: str) -> None:
        self._found.append(Violation(rule, event.subject, f"{event.at}: {told}"))

    def _check_version(self, event: Event, life: Life) -> None:
        if event.version != life.version + 1:
            told = f"{event.kind} has version {event.version} after {life.version} ({life.last})"
            self._say("order", event, told)

    def _enter(self, event: Event) -> None:
        key = self._history.wished.get(event.subject, "-")
        if key == "-":
            return
        holder = self._keys.get(key)
        if holder is not None and not self._lives[holder].ended:
            self._say("unique", event, f"it has key {key}, which {holder} held")
        self._keys[key] = event.subject

    def _grant(self, event: Event, life: Life) -> None:
        while self._undone and _ms(self._undone[-1][0]) <= event.ms:
            self._highest = max(self._highest, self._undone.pop()[1])
        if event.fence <= self._highest:
            told = f"fence {event.fence} was granted after {self._highest}"
            self._say("fence", event, told)
        self._highest = max(self._highest, event.fence)
        if life.ended:
            self._say("twice", event, f"it runs again after it had {life.ended}")
        life.fence, life.held, life.runs = event.fence, True, life.runs + 1

    def _commit(self, event: Event, life: Life) -> None:
        if event.fence != life.fence:
            told = f"{event.kind} was committed by fence {event.fence}; {life.fence} was the last"
            self._say("stale", event, told)
        elif not life.held:
            self._say("stale", event, f"{event.kind} was committed by {event.fence}, given back")
        if life.ended and event.kind not in ENDS:
            self._say("twice", event, f"{event.kind} after it had {life.ended}")
        life.held = False

    def _end(self, event: Event, life: Life) -> None:
        if life.ended:
            self._say("twice", event, f"{event.kind} after it had {life.ended}")
        by_handler = event.kind == "succeeded" or (
            event.kind == "failed" and event.detail.partition(":")[0] not in ADMINISTRATIVE
        )
        if by_handler:
            self._commit(event, life)
        life.ended, life.end_fence, life.held = event.kind, event.fence, False
        life.ended_ms, life.detail = event.ms, event.detail

    def _give_back(self, event: Event, life: Life) -> None:
        """By a worker its claim is known by the detail: `<fence> <worker>`; a finish says none."""
        words = event.detail.split(" ")
        fence = int(words[0]) if words[0].isdigit() else event.fence
        if fence != life.fence or not life.held:
            self._say("stale", event, f"{event.kind} of fence {fence}; {life.fence} was the last")
        life.held = False


def _ms(at: str) -> int:
    return int(at.partition("-")[0])
