"""The adviser from a shell."""

from __future__ import annotations

import shlex

import pytest

from tests.interfaces.conftest import Shell


def test_forty_agents_are_advised(shell: Shell) -> None:
    """The strategy, its sizes, why, and what it does not give."""
    said = shell(*shlex.split("advise --agents 40 --faults crash --consistency strong"))

    assert said.exit_code == 0
    for line in ("strategy\thybrid", "rule\twide", "voters\t5", "quorum\t3", "watchers\t35"):
        assert line in said.stdout.splitlines()
    assert "why:\n  - beyond 30 agents" in said.stdout
    assert "does not give:\n  - An agent that lies" in said.stdout
    assert "one supervisor leads by a lease in Redis" in said.stdout


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--agents 5", "costs\t8 messages, 2 rounds for each decision"),
        ("--agents 10 --faults byzantine --tolerate 2", "tolerates\t2 that may lie"),
        ("--agents 500", "groups\t32 of up to 16, 5 voters in each"),
        (
            "--agents 64 --consistency eventual",
            "costs\t192 messages, 4 rounds for news to reach all",
        ),
    ],
)
def test_sizes_are_said_in_words(shell: Shell, words: str, line: str) -> None:
    """A line each."""
    assert line in shell("advise", *shlex.split(words)).stdout.splitlines()


def test_programs_get_the_same(shell: Shell) -> None:
    """As one document."""
    said = shell.json("advise", "--agents", "7", "--faults", "byzantine")

    assert (said["strategy"], said["voters"], said["quorum"], said["tolerates"]) == (
        "byzantine", 7, 5, 2,
    )  # fmt: skip
    assert said["lacks"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--agents 3 --faults byzantine", "Possible: 4 agents, of which one may lie"),
        ("--agents 9 --when-parted available", "only the side with a majority decides"),
        ("--agents 1", "nothing to coordinate"),
        ("--agents 0", "whole number from 1"),
        ("--agents many", "many"),
        ("--agents 5 --faults lies", "lies"),
        ("", "--agents"),
    ],
)
def test_what_cannot_be_is_refused_in_words(shell: Shell, words: str, says: str) -> None:
    """With the exit code of bad input, and no Redis asked."""
    result = shell("advise", *shlex.split(words), COORDQ_URL="redis://127.0.0.1:1")

    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr
