"""Circuit breakers from a shell."""

from __future__ import annotations

import shlex

import pytest

from coordq.client.client import Client
from coordq.fleet.breaker.calls import Report, report
from coordq.fleet.breaker.thresholds import Thresholds
from tests.interfaces.conftest import Shell


@pytest.fixture
def failing(client: Client) -> str:
    """A subject whose breaker is open."""
    client.engine.run(report("openai", Report(calls=6, failures=5)))
    return "openai"


def test_breakers_are_listed_and_shown(shell: Shell, failing: str) -> None:
    """As rows, as facts, and as JSON."""
    rows = shell("breaker", "ls").stdout.splitlines()
    shown = shell("breaker", "show", failing).stdout

    assert rows[1] == "openai\topen\t0\t0\t0\t0\t1\t5 of 6 calls failed in 60 s"
    assert "state\topen\n" in shown
    assert "in all\t6 calls, 5 failed, 0 slow, 0 not made\n" in shown
    assert "opens at (as usual)\t5 failures and 50% of 5 calls in 60 s; 30 s open, 3 tried" in shown
    assert shell.json("breaker", "ls")[0]["total"]["failures"] == 5
    assert shell.json("breaker", "show", failing)["state"] == "open"


def test_thresholds_from_the_command_line_are_what_was_said(shell: Shell, client: Client) -> None:
    """Every flag arrives."""
    words = (
        "openai --failures 10 --rate 0.3 --min-calls 20 --slow 20s --slow-rate 0.9 --window 2m "
        "--recovery 1m --probes 5"
    )

    said = shell.line("breaker", "set", *shlex.split(words))

    assert said == (
        "breaker openai opens at 10 failures and 30% of 20 calls in 120 s, or 90% over 20 s; "
        "60 s open, 5 tried"
    )
    assert client.breakers.get("openai").thresholds == Thresholds(10, 0.3, 20, 20, 0.9, 120, 60, 5)
    assert "5 failures" in shell.line("breaker", "unset", "openai")


def test_an_operator_opens_closes_and_resets(shell: Shell, client: Client) -> None:
    """And says why."""
    assert "until it is reset" in shell.line("breaker", "open", "openai", "--why", "it moves")
    seen = client.breakers.get("openai")
    assert (seen.forced, seen.why.endswith(": it moves")) == ("open", True)
    assert "\topen, forced\t" in shell("breaker", "ls").stdout

    shell("breaker", "close", "openai")
    assert client.breakers.get("openai").forced == "closed"
    assert "follows its calls" in shell.line("breaker", "reset", "openai")
    assert client.breakers.get("openai").forced == ""


def test_what_happened_is_told_in_events(shell: Shell, failing: str) -> None:
    """Beside all else."""
    shell("breaker", "reset", failing)

    story = [line.split("\t")[1:3] for line in shell("events").stdout.splitlines()]

    assert story == [["breaker-opened", "openai"], ["breaker-closed", "openai"]]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("show nothing", 3, "no breaker for 'nothing'"),
        ("reset nothing", 3, "no breaker for 'nothing'"),
        ("set openai --failures 0", 2, "failures=0"),
        ("set openai --rate 2", 2, "rate=2.0"),
        ("set openai --slow soon", 2, "not a length of time"),
        ("set openai --window 2h", 2, "window=7200"),
        ("set openai --probes many", 2, "many"),
        ("open 'bad name'", 2, "not allowed"),
        ("close https://x/", 2, "not allowed"),
    ],
)
def test_bad_breakers_are_refused_in_words(
    shell: Shell, words: str, code: int, says: str, client: Client
) -> None:
    """And with the exit code of what was wrong."""
    result = shell("breaker", *shlex.split(words))

    assert result.exit_code == code, result.output
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert client.breakers.ls() == ()
