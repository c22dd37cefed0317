"""The verdict over a partition finds what it must, and excuses only what nobody promised."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coordq.interfaces.bench.apart import Moments, Verdict, judge
from coordq.work.events import Event

SPLIT, READ_ONLY, HEALED = 10_000, 13_000, 20_000
MOMENTS = Moments(SPLIT, READ_ONLY, HEALED)


def event(ms: int, subject: str, kind: str, fence: int = 1, detail: str = "") -> Event:
    """Something that the surviving Redis remembers."""
    return Event(f"{ms}-0", 0, subject, kind, 1, fence, "default", "nap", detail)


def life(task: str, ms: int = 5_000, fence: int = 1) -> list[Event]:
    """A task from its enqueue to its end."""
    return [
        event(ms, task, "ready", 0),
        event(ms + 1, task, "running", fence),
        event(ms + 2, task, "succeeded", fence),
    ]


class Court:
    """A case being built: what producers wrote down, and what happened."""

    def __init__(self, folder: Path) -> None:
        self.events = [event(1, "s-a", "elected", 1), event(11_000, "s-b", "elected", 2)]
        self._folder = folder
        self._lines: list[dict[str, object]] = []
        self.tell("a", "no", 15_000, refused="read-only")

    def tell(
        self, side: str, task: str, ms: int, *, durability: str = "primary", refused: str = ""
    ) -> None:
        """A producer's line."""
        line: dict[str, object] = {"side": side, "id": task, "ms": ms, "durability": durability}
        self._lines.append({**line, "refused": refused} if refused else line)

    def judge(self) -> Verdict:
        """The verdict."""
        text = "".join(json.dumps(line) + "\n" for line in self._lines)
        (self._folder / "producer-x.jsonl").write_text(text)
        return judge(self._folder, MOMENTS, self.events, [])


@pytest.fixture
def court(tmp_path: Path) -> Court:
    """A case in which nothing is wrong."""
    court = Court(tmp_path)
    for side in ("a", "b"):
        court.tell(side, f"whole-{side}", 5_000)
        court.events += life(f"whole-{side}")
    return court


def test_what_was_kept_is_no_violation(court: Court) -> None:
    """Or the rest of these tests would prove nothing."""
    assert court.judge().violations == []


def test_what_a_minority_took_alone_may_be_lost(court: Court) -> None:
    """Replication is asynchronous: it is counted, and it is no violation."""
    court.tell("a", "gone", SPLIT + 500)
    court.events.append(event(21_000, "gone", "refused"))

    verdict = court.judge()

    assert verdict.violations == []
    assert verdict.facts["acknowledged by A during the split, and lost (the limit)"] == 1


@pytest.mark.parametrize(
    ("side", "ms", "durability"),
    [
        pytest.param("b", 15_000, "primary", id="B took it"),
        pytest.param("a", 5_000, "primary", id="long before the split"),
        pytest.param("a", SPLIT + 500, "replica", id="a replica had it"),
    ],
)
def test_what_was_promised_must_be_there(court: Court, side: str, ms: int, durability: str) -> None:
    """Acknowledged, and no trace of it."""
    court.tell(side, "gone", ms, durability=durability)

    assert [one.partition(":")[0] for one in court.judge().violations] == ["lost"]


def test_what_was_taken_must_be_done(court: Court) -> None:
    """It is known, and never ended."""
    court.tell("b", "stuck", 15_000)
    court.events += life("stuck", 15_000)[:2]

    assert "never done: stuck" in court.judge().violations[0]


def test_a_second_commit_is_found(court: Court) -> None:
    """By whoever."""
    court.events.append(event(6_000, "whole-a", "succeeded"))

    assert court.judge().violations == ["committed 2 times: whole-a"]


def test_a_commit_by_a_stale_fence_is_found(court: Court) -> None:
    """B has granted the task anew, and A's finish was taken all the same."""
    court.events += [
        event(14_000, "late", "running", 5),
        event(15_000, "late", "running", 9),
        event(16_000, "late", "succeeded", 5),
    ]

    assert court.judge().violations == ["a stale fence committed: late"]


def test_a_minority_that_goes_on_taking_tasks_is_found(court: Court) -> None:
    """It said that it was read-only."""
    court.tell("a", "whole-a", READ_ONLY + 1_000)

    assert court.judge().violations == ["taken by A although read-only: whole-a"]


def test_epochs_that_do_not_grow_are_found(court: Court) -> None:
    """Two leaders could not be told apart."""
    court.events.append(event(12_000, "s-c", "elected", 2))

    assert court.judge().violations == ["epochs do not grow: [1, 2, 2]"]
