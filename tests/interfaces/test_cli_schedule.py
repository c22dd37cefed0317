"""Schedules from a shell."""

from __future__ import annotations

import json
import shlex
from datetime import datetime
from typing import Any

import pytest

from coordq.client.client import Client
from coordq.interfaces.agenda import when
from coordq.work.schedule import make
from tests.interfaces.conftest import Shell, end


def test_a_schedule_from_the_command_line_is_what_was_said(shell: Shell, client: Client) -> None:
    """Every flag arrives."""
    words = shlex.split(
        'add sweep clean age=5 --cron "0 9 * * mon-fri" --tz Europe/Berlin --overlap queue '
        "--missed all --start 2030-07-01T09:00 --end 2031-07-01T09:00+00:00 --jitter 5s "
        "--queue slow --priority low --backoff 1s,5m --timeout 30s --capability a"
    )

    said = shell.line("schedule", *words, "--paused")

    assert said == "schedule sweep is added; it is paused"
    made = client.schedules.get("sweep").schedule
    assert made == make(
        "sweep",
        "clean",
        {"age": 5},
        cron="0 9 * * mon-fri",
        tz="Europe/Berlin",
        overlap="queue",
        missed="all",
        start=datetime.fromisoformat("2030-07-01T09:00+02:00"),
        end=datetime.fromisoformat("2031-07-01T09:00+00:00"),
        jitter=5,
        options={
            "queue": "slow",
            "priority": "low",
            "backoff": "s:1000,300000:n",
            "timeout": 30,
            "capabilities": ["a"],
        },
    )


def test_adding_says_what_was_done(shell: Shell) -> None:
    """Added, unchanged, refused, replaced."""
    add = ("schedule", "add", "sweep", "clean", "--every")

    assert shell.line(*add, "5m").startswith("schedule sweep is added; next at 20")
    assert shell.line(*add, "300s").startswith("schedule sweep is unchanged; next at 20")
    refused = shell(*add, "10m")
    assert (refused.exit_code, refused.stdout) == (5, "")
    assert "it differs in every. Replace it" in refused.stderr
    assert shell.json(*add, "10m", "--replace")["change"] == "replaced"


def test_the_list_says_when_and_how_often(shell: Shell, client: Client) -> None:
    """In words, by name."""
    client.schedules.add("b", "clean", every=300)
    client.schedules.add("a", "digest", cron="0 9 * * mon-fri", tz="Europe/Berlin", paused=True)
    client.schedules.trigger("b")

    rows = [line.split("\t") for line in shell("schedule", "ls").stdout.splitlines()]

    assert rows[0] == ["schedule", "task", "when", "next", "last", "runs", "skipped", "state"]
    assert rows[1][:4] == [
        "a",
        "digest",
        "At 09:00 on Monday through Friday, Europe/Berlin",
        "-",
    ]
    assert (rows[1][-1], rows[2][2], rows[2][5:]) == ("paused", "every 5m", ["1", "0", "active"])
    assert [one["name"] for one in shell.json("schedule", "ls")] == ["a", "b"]


def test_show_tells_the_next_slots_and_how_the_last_runs_ended(
    shell: Shell, client: Client
) -> None:
    """The outcome of each run can be traced, from both ends."""
    client.schedules.add("s", "clean", {"n": 1}, cron="0 9 * * *", tz="Europe/Berlin", jitter=60)
    first, second = (client.schedules.trigger("s").id for _ in range(2))
    end(client, first, "succeeded")
    end(client, second, "failed", "it broke")

    said = shell("schedule", "show", "s").stdout
    facts = shell.json("schedule", "show", "s")

    assert said.count("\nnext\t20") == 5
    assert "\njitter\t1m00s\n" in said
    assert f"\n{second}\tby hand\t" in said
    assert [(run["id"], run["state"]) for run in facts["runs"]] == [
        (second, "failed"),
        (first, "succeeded"),
    ]
    assert len(facts["next_runs"]) == 5
    assert "schedule\ts, by hand\n" in shell("show", first).stdout
    assert shell.json("show", first)["schedule"] == "s"


def test_pause_resume_trigger_and_rm(shell: Shell, client: Client) -> None:
    """The rest of its life."""
    client.schedules.add("s", "clean", every=60)

    assert shell.line("schedule", "pause", "s") == "schedule s is paused"
    task_id = shell.line("schedule", "trigger", "s")
    assert client.work.get(task_id).name == "clean"
    assert shell.line("schedule", "resume", "s").startswith("schedule s is resumed; next at 20")
    assert shell.json("schedule", "trigger", "s")["schedule"] == "s"
    assert shell.line("schedule", "rm", "s") == "schedule s is removed"
    assert shell("schedule", "ls").stdout.count("\n") == 1


def test_a_paused_schedule_shows_what_would_be_next(shell: Shell, client: Client) -> None:
    """Whoever thinks of resuming it wants to know."""
    client.schedules.add("s", "clean", every=60, paused=True)

    assert shell("schedule", "show", "s").stdout.count("\nwould be next\t20") == 5


@pytest.mark.parametrize("verb", ["show", "pause", "resume", "trigger", "rm"])
def test_a_schedule_that_is_not_there_is_not_found(shell: Shell, client: Client, verb: str) -> None:
    """With those that are."""
    client.schedules.add("sweep", "clean", every=60)

    result = shell("schedule", verb, "swep")

    assert result.exit_code == 3
    assert "There is no schedule 'swep'; there are: sweep." in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("a b", "invalid-schedule", "Give either"),
        ("a b --every 5m --cron @daily", "invalid-schedule", "give one"),
        ("a b --every 0.2s", "invalid-schedule", "from 1 to"),
        ("a b --every often", "usage", "'often' is not a length of time"),
        ("a b --cron @noon", "invalid-schedule", "@daily"),
        ("a b --cron @daily --tz Berlin", "invalid-schedule", "'Europe/Berlin'"),
        ("a b --every 5m --overlap sometimes", "invalid-schedule", "skip, queue, cancel-oldest"),
        ("a b --every 5m --start tomorrow", "usage", "'tomorrow' is not a moment"),
        ("a b --every 5m --on-full shed", "invalid-schedule", "wait, refuse or force"),
        ("a b --every 5m --end 2020-01-01", "invalid-schedule", "would never run"),
        ("a b x --every 5m", "invalid-arguments", "write key=value"),
        ("a b --every 5m --delay 3s", "usage", "No such option"),
        ("a! b --every 5m", "invalid-name", "schedule name 'a!'"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    shell: Shell, words: str, code: str, said: str
) -> None:
    """With the code for programs; nothing is set down."""
    result = shell("schedule", "add", *words.split(), "--json")

    assert result.exit_code == 2
    error: dict[str, Any] = json.loads(result.stderr)["error"]
    assert error["code"] == code
    assert said in error["message"]
    assert shell.json("schedule", "ls") == []


def test_one_that_cannot_be_read_is_listed_and_can_be_removed(shell: Shell, client: Client) -> None:
    """A stranger's data does not hide the others."""
    client.schedules.add("fine", "clean", every=60)
    client.schedules.add("odd", "clean", every=60)
    key = f"cq:{{{client.namespace}.0}}:schedule:odd"
    client.engine.execute(0, "HSET", key, "what", "\x1b[31mjunk")

    assert [one["state"] for one in shell.json("schedule", "ls")] == ["active", "unreadable"]
    assert "\x1b" not in shell("schedule", "ls").stdout
    shown = shell("schedule", "show", "odd")
    assert (shown.exit_code, "coordq schedule rm odd" in shown.stderr) == (1, True)
    assert shell.line("schedule", "rm", "odd") == "schedule odd is removed"


@pytest.mark.parametrize(
    ("every", "words"),
    [
        (1.5, "every 1.5s"),
        (10, "every 10s"),
        (90, "every 1m30s"),
        (300, "every 5m"),
        (3600, "every 1h"),
        (6000, "every 1h40m"),
        (86_400, "every 1d"),
    ],
)
def test_an_interval_is_said_as_people_say_it(every: float, words: str) -> None:
    """Not five minutes and no seconds."""
    assert when(make("s", "job", every=every)) == words
