"""`coordq audit`: looks by default, repairs when told to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coordq.client.client import Client
from tests.interfaces.conftest import Shell

WRONG = "it was ready and stood in no line"


@pytest.fixture
def lost(client: Client) -> str:
    """A ready task that no claim would come upon."""
    task_id = client.work.enqueue("echo", {}).id
    client.engine.execute(0, "DEL", f"cq:{{{client.namespace}.0}}:line:default:2echo")
    return task_id


def test_an_audit_says_what_is_wrong_and_leaves_it(
    shell: Shell, lost: str, stored: Callable[[], dict[bytes, bytes]]
) -> None:
    """Safe at any time; exit code 1, for scripts, and what to do."""
    before = stored()

    result = shell("audit")

    assert result.exit_code == 1
    assert result.stdout.splitlines()[1:] == [f"{lost}\t{WRONG}"]
    assert "coordq audit --repair" in result.stderr
    assert stored() == before


def test_an_audit_repairs_when_told_to(shell: Shell, client: Client, lost: str) -> None:
    """And the next one finds nothing."""
    result = shell("audit", "--repair")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[1:] == [f"{lost}\t{WRONG}: it stands in line"]
    assert client.work.get(lost).position == 0
    again = shell("audit")
    assert (again.exit_code, again.stdout) == (0, "")
    assert "everything adds up" in again.stderr


def test_an_audit_speaks_json(shell: Shell, lost: str) -> None:
    """For programs."""
    found = shell.json("audit", "--repair")

    assert found == {
        "tasks": 1,
        "findings": [{"shard": 0, "subject": lost, "wrong": f"{WRONG}: it stands in line"}],
        "repaired": True,
        "unsettled": [],
    }
