"""`coordq progress`: how flows and tasks get on, from a shell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from coordq import Flow
from coordq.client.client import Client
from coordq.engine import keys
from coordq.ids import shard_of
from coordq.work.claim import Claim
from coordq.work.progress import say
from coordq.work.report import report
from tests.client.hands import bury, succeed, take_one
from tests.interfaces.conftest import Shell


def audit() -> Flow:
    """Three files, one after the other read, and a report that somebody must approve."""
    flow = Flow("audit")
    parts = [flow.task("read", {"n": n}, key=f"read.{n}") for n in range(3)]
    done = flow.task("report", {"parts": parts}, key="report")
    flow.approval("publish", after=[done])
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    flow.milestone("all read", needs=parts, by=tomorrow)
    return flow


def tell(client: Client, held: Claim, done: float, total: float) -> None:
    """A running task says how far it is."""
    said = say(done, total, "parsing", unit="files").to_json()
    assert client.engine.run(report(held.member, progress=said))


def test_a_flow_is_shown_with_what_runs_of_it(shell: Shell, client: Client) -> None:
    """How much has ended, what runs and how far that is by its own account, and its milestones."""
    flow = client.flows.run(audit())
    succeed(client, take_one(client, "read"), 1)
    tell(client, take_one(client, "read"), 3, 4)

    lines = shell("progress", flow.id).stdout.splitlines()

    assert lines[0].startswith(f"audit {flow.id}   20 %  1 of 5 have ended: 1 succeeded, ")
    assert "waits for publish" in lines[0]
    assert lines[1].startswith("  read.1   75 %  3 of 4 files (75 %): parsing, about ")
    assert lines[2].startswith("  milestone all read   33 %  1 of 3 by ")


def test_without_ids_it_shows_all_that_runs(shell: Shell, client: Client) -> None:
    """Flows with their tasks, then tasks of no flow; never a task twice."""
    flow = client.flows.run(audit())
    take_one(client, "read")
    alone = client.work.enqueue("job", {})
    tell(client, take_one(client), 1, 2)

    seen = shell.json("progress")

    assert [one["id"] for one in seen["flows"]] == [flow.id]
    assert [one["key"] for one in seen["flows"][0]["busy"]] == ["read.0"]
    assert [one["id"] for one in seen["tasks"]] == [alone.id]
    assert f"job {alone.id}   50 %" in shell("progress").stdout


def test_what_tasks_took_before_tells_how_long_the_next_take(client: Client) -> None:
    """Of a task that says nothing, its name is known from flows that have run."""
    flow = client.flows.run(audit())
    root = keys.root(client.namespace, shard_of(flow.id))
    client.engine.execute(
        shard_of(flow.id), "HSET", keys.pace(root), "read:n", 2, "read:ms", 120_000
    )
    take_one(client, "read")

    seen = client.flows.outlook(flow.id)

    (busy,) = seen.busy
    assert busy.progress is None
    assert busy.left_s is not None
    assert 50 < busy.left_s <= 60
    assert "report" in seen.forecast.guessed


def test_a_milestone_is_missed_when_what_it_needs_has_failed(shell: Shell, client: Client) -> None:
    """And the task that failed is named."""
    flow = client.flows.run(audit())
    bury(client, take_one(client, "read"), "unreadable")

    told = shell("progress", flow.id).stdout

    assert "missed: read.0" in told


def test_a_flow_that_has_ended_says_how_and_after_what_time(shell: Shell, client: Client) -> None:
    """It is not only for what goes on."""
    flow = Flow("short")
    flow.task("job", {}, key="only")
    handle = client.flows.run(flow)
    succeed(client, take_one(client), 1)

    assert "1 of 1 have ended: 1 succeeded, succeeded after " in shell("progress", handle.id).stdout


def test_nothing_to_show_is_said(shell: Shell) -> None:
    """An empty screen would look like a mistake."""
    assert shell.line("progress") == "No flow and no task is running."


def test_an_id_that_nothing_has_is_named(shell: Shell) -> None:
    """Neither flow nor task: exit code 3, as everywhere."""
    gone = shell("progress", "0" * 22)
    assert gone.exit_code == 3
    assert "0" * 22 in gone.stderr


@pytest.mark.parametrize("text", [b"{", b"3", b'{"done": "x"}'])
def test_a_strangers_progress_is_no_progress(client: Client, text: bytes) -> None:
    """What coordq did not write is passed over, and the rest is shown."""
    flow = client.flows.run(audit())
    held = take_one(client, "read")
    root = keys.root(client.namespace, shard_of(held.id))
    client.engine.execute(shard_of(held.id), "SET", keys.progress(root, held.id), text)

    assert [one.progress for one in client.flows.outlook(flow.id).busy] == [None]
