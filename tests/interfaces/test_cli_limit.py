"""Limits from a shell."""

from __future__ import annotations

import shlex

import pytest

from coordq.client.client import Client
from tests.interfaces.conftest import Shell


def test_a_limit_from_the_command_line_is_what_was_said(shell: Shell, client: Client) -> None:
    """Every flag arrives."""
    words = "openai --rate 100/min --burst 5 --concurrency 4 --on-conflict skip --budget 50/day"

    said = shell.line("limit", "set", *shlex.split(words))

    made = client.limits.get("openai").limit
    assert said.startswith(
        "limit openai allows 100 in 60 s (up to 5 at once); 4 at once, else skip"
    )
    assert made is not None
    assert made.said() == {
        "rate": (100, 60),
        "burst": 5,
        "concurrency": 4,
        "on_conflict": "skip",
        "budget": (50, 86_400),
    }


def test_a_task_from_the_command_line_names_its_limits(shell: Shell, client: Client) -> None:
    """And what it costs."""
    task_id = shell.line(
        *shlex.split("enqueue ask --limit openai:gpt-4 --limit slow --cost 2.5 --tenant acme")
    )

    spec = client.work.get(task_id).spec
    assert (spec.limits, spec.cost) == (("openai:gpt-4", "slow"), 2.5)


def test_limits_are_listed_and_shown(shell: Shell) -> None:
    """As rows, as facts, and as JSON."""
    shell("limit", "set", "queue:slow", "--concurrency", "2")
    shell("limit", "pause", "openai", "--during", "2h")

    listed = shell("limit", "ls").stdout
    assert "queue:slow\t2 at once\t0\t0\tnow" in listed
    assert "openai\tanything\t0\t0\tpaused for 1h" in listed
    assert "allows\t2 at once" in shell("limit", "show", "queue:slow").stdout
    (openai, queue) = shell.json("limit", "ls")
    assert (openai["slot"], queue["limit"]["concurrency"]) == ("openai", 2)


def test_a_pause_is_made_and_ended(shell: Shell, client: Client) -> None:
    """Without a length it lasts."""
    assert shell.line("limit", "pause", "openai") == "limit openai is paused"
    assert client.limits.get("openai").paused_ms is None
    assert shell.line("limit", "resume", "openai") == "limit openai is resumed"
    assert client.limits.ls() == []


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("limit set openai", 2, "limits nothing"),
        ("limit set openai --rate 5/fortnight", 2, "no unit of time"),
        ("limit set openai --concurrency two", 2, "two"),
        ("limit set once --concurrency 1", 2, "coordq's own"),
        ("limit set 'bad name' --rate 5/s", 2, "not allowed"),
        ("limit show nothing", 3, "no limit 'nothing'"),
        ("limit rm nothing", 3, "no limit 'nothing'"),
        ("limit pause openai --during soon", 2, "not a length of time"),
        ("enqueue ask --limit queue:default", 2, "without naming"),
        ("enqueue ask --cost lots", 2, "lots"),
        ("enqueue ask --unique k --on-duplicate throttle", 2, "unique_for"),
    ],
)
def test_bad_limits_are_refused_in_words(shell: Shell, words: str, code: int, says: str) -> None:
    """And with the exit code of what was wrong."""
    result = shell(*shlex.split(words))

    assert result.exit_code == code
    assert says in result.stderr
    assert "Traceback" not in result.stderr
