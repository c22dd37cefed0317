"""Changing things from a shell, and being asked before what cannot be undone."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from coordq.client.client import Client
from tests.interfaces.conftest import Shell

DeadLetter = Callable[..., str]
Stored = Callable[[], dict[bytes, bytes]]


def test_cancel_and_retry(shell: Shell, client: Client) -> None:
    """One cancelled task needs no question, and comes back by retry."""
    task_id = client.work.enqueue("echo", {}).id

    assert shell.line("cancel", task_id) == f"{task_id}\tcancelled"
    assert client.work.get(task_id).state == "cancelled"
    assert shell.line("retry", task_id) == f"{task_id}\tready"


def test_cancel_of_a_running_task_tells_its_worker(shell: Shell, client: Client) -> None:
    """Cancelled is not said before it is so."""
    task_id = client.work.enqueue("echo", {}).id
    client.work.claim_one(task_id, claimant="hand")

    assert "its worker" in shell.line("cancel", task_id)
    assert client.work.get(task_id).cancel_requested


def test_cancel_of_many_goes_on_past_the_one_it_cannot_find(shell: Shell, client: Client) -> None:
    """A list of a thousand ids must not stop at the second because the first has expired."""
    ids = [client.work.enqueue("echo", {}).id for _ in range(2)]
    result = shell("cancel", ids[0], "0" * 22, ids[1], "--yes", "--json")

    assert result.exit_code == 3
    assert [one.get("state", one.get("error")) for one in json.loads(result.stdout)] == [
        "cancelled",
        "task-not-found",
        "cancelled",
    ]
    assert json.loads(result.stderr)["error"]["code"] == "task-not-found"


def test_dead_letters_are_listed_revived_and_purged(
    shell: Shell, client: Client, dead_letter: DeadLetter
) -> None:
    """The three things one does with them."""
    first, second, third = dead_letter(), dead_letter("parse"), dead_letter(queue="mail")

    assert [task["id"] for task in shell.json("dead", "ls", "--name", "parse")] == [second]
    assert shell.json("dead", "revive", first) == {"revived": 1}
    assert client.work.get(first).state == "ready"
    assert shell.json("dead", "purge", "--queue", "mail", "--yes") == {"deleted": 1}
    assert shell("show", third).exit_code == 3
    assert shell.json("dead", "revive", "--all") == {"revived": 1}


def test_purging_old_ones_leaves_the_young(shell: Shell, dead_letter: DeadLetter) -> None:
    """A cron job that cleans up must not eat this morning's failures."""
    dead_letter()

    assert shell.json("dead", "purge", "--older-than", "1d", "--yes") == {"deleted": 0}
    assert shell.json("dead", "purge", "--all", "--yes") == {"deleted": 1}


def test_revive_says_when_an_id_is_no_dead_letter(shell: Shell, dead_letter: DeadLetter) -> None:
    """The one that is gets revived all the same."""
    result = shell("dead", "revive", dead_letter(), "0" * 22)

    assert result.exit_code == 3
    assert "revived 1" in result.stdout
    assert "1 of the 2 ids" in result.stderr


def test_a_queue_is_paused_limited_and_resumed(shell: Shell, client: Client) -> None:
    """What the client can set, the shell can set."""
    shell("queue", "pause", "mail")
    assert client.work.queue("mail").paused

    shell("queue", "resume", "mail")
    limits = shell.json("queue", "limit", "mail", "--high", "10", "--max-bytes", "2MB", "--strict")
    assert (limits["high"], limits["low"], limits["max_bytes"]) == (10, 8, 2 * 2**20)
    assert limits["strict"]
    assert not limits["paused"]
    assert shell.json("queue", "limit", "mail", "--high", "0", "--aged")["high"] == 0


def test_a_full_queue_is_exit_5(shell: Shell) -> None:
    """Refused, for now: a script may try again."""
    shell("queue", "limit", "mail", "--high", "1")
    shell("enqueue", "echo", "-q", "mail")
    result = shell("enqueue", "echo", "-q", "mail", "--on-full", "refuse", "--json")

    assert result.exit_code == 5
    assert json.loads(result.stderr)["error"]["code"] == "queue-full"
    assert shell("enqueue", "echo", "-q", "mail", "--wait-for-room", "50ms").exit_code == 5


def test_purge_cancels_what_waits(shell: Shell, client: Client) -> None:
    """And says how many."""
    client.work.enqueue_many([("echo", {"n": at}) for at in range(700)], queue="mail")

    assert shell.json("queue", "purge", "mail", "--yes") == {"queue": "mail", "cancelled": 700}
    assert client.work.queue("mail").ready == 0


@pytest.mark.parametrize(
    "words",
    [
        ["queue", "purge", "default"],
        ["dead", "purge", "--all"],
        ["workers", "stop", "web-1"],
        ["cancel", "0" * 22, "1" * 22],
    ],
)
def test_what_cannot_be_undone_is_refused_when_nobody_can_be_asked(
    shell: Shell, stored: Stored, dead_letter: DeadLetter, words: list[str]
) -> None:
    """A cron job that forgot --yes must not delete, and must not hang."""
    dead_letter()
    before = stored()
    result = shell(*words)

    assert result.exit_code == 2
    assert "say --yes" in result.stderr
    assert stored() == before


def test_yes_may_come_by_a_variable(shell: Shell, dead_letter: DeadLetter) -> None:
    """As every flag."""
    dead_letter()

    assert shell("dead", "purge", "--all", COORDQ_DEAD_PURGE_YES="1").exit_code == 0


def test_tenants_are_listed_weighed_and_forgotten(shell: Shell, client: Client) -> None:
    """Their shares, for people and for programs."""
    shell("enqueue", "echo", "--tenant", "acme")

    assert shell("tenant", "weight", "acme", "2.5").stdout == "tenant acme has the weight 2.5\n"
    listed = shell.json("tenant", "ls")
    assert listed == [{"tenant": "acme", "weight": 2.5, "served": 0, "backlog": 1, "queues": {}}]
    assert "acme" in shell("tenant", "ls").stdout
    assert shell.json("tenant", "rm", "acme") == {"tenant": "acme", "forgotten": True}
    assert client.tenants.get("acme").weight == 1


def test_a_tenant_that_cannot_be_is_refused(shell: Shell) -> None:
    """With the exit codes of what was wrong."""
    assert shell("tenant", "weight", "acme", "nan").exit_code == 2
    assert shell("tenant", "weight", "a~b", "1").exit_code == 2
    assert shell("tenant", "rm", "nobody").exit_code == 3
    assert shell("enqueue", "echo", "--tenant", "").exit_code == 2
