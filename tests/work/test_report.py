"""work/report: progress and log lines of those who hold the claim, bounded."""

from __future__ import annotations

from coordq.work.report import LINE_MAX, clip, report
from tests.work.desk import Desk


def log(desk: Desk, task_id: str) -> list[str]:
    """What a task has said."""
    return [line.decode() for line in desk.redis("LRANGE", desk.key(f"log:{task_id}"), 0, -1)]


def test_lines_and_progress_are_kept_in_order(desk: Desk) -> None:
    """And shown to whoever looks."""
    task_id = desk.put()
    member = desk.take().member

    assert desk.run(report(member, progress={"at": 1}, lines=["a", "b"]))
    assert desk.run(report(member, lines=["c"]))

    assert log(desk, task_id) == ["a", "b", "c"]
    assert desk.task(task_id).progress == {"at": 1}


def test_a_late_report_is_refused(desk: Desk) -> None:
    """A worker that lost its claim must not speak for the one that has it."""
    task_id = desk.put()
    claim = desk.take()
    desk.lapse(claim)
    desk.reap()
    desk.take(claimant="w2/1:a")
    before = desk.dump()

    assert not desk.run(report(claim.member, progress={"at": 9}, lines=["late"]))
    assert desk.dump() == before
    assert log(desk, task_id) == []


def test_only_the_last_thousand_lines_are_kept(desk: Desk) -> None:
    """A chatty task must not fill Redis."""
    task_id = desk.put()
    member = desk.take().member
    for start in range(0, 1200, 200):
        desk.run(report(member, lines=[str(start + n) for n in range(200)]))

    assert log(desk, task_id) == [str(n) for n in range(200, 1200)]


def test_a_log_and_its_progress_expire(desk: Desk) -> None:
    """A day after the last report."""
    task_id = desk.put()
    desk.run(report(desk.take().member, progress={"at": 1}, lines=["a"]))

    for key in ("log", "progress"):
        assert 86_000 < desk.redis("TTL", desk.key(f"{key}:{task_id}")) <= 86_400


def test_a_long_line_is_cut_and_says_so() -> None:
    """The rest is not silently gone."""
    assert clip("x" * LINE_MAX) == "x" * LINE_MAX
    assert clip("x" * (LINE_MAX + 5)) == "x" * LINE_MAX + "... (5 more characters)"


def test_half_a_surrogate_pair_does_not_stop_a_log(desk: Desk) -> None:
    """Output of programs is not always text."""
    task_id = desk.put()
    desk.run(report(desk.take().member, lines=["bad \ud800 text"]))

    assert log(desk, task_id) == ["bad ? text"]
