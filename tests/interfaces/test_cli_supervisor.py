"""`coordq supervisor`: what it refuses, and that its flags arrive."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

from coordq.client.client import Client
from coordq.fleet.election import Standing, standing
from tests.interfaces.conftest import Shell
from tests.waiting import wait_until

Stored = Callable[[], dict[bytes, bytes]]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--leader-lease", "100ms"], 2, "lease_s = 0.1: use a value from 0.5 to 300"),
        (["--leader-lease", "1h"], 2, "lease_s = 3600"),
        (["--leader-lease", "soon"], 2, "'soon' is not a length of time"),
        (["--audit-every", "0"], 2, "audit_every_s = 0"),
        (["--dead-retention", "30y"], 2, "'30y' is not a length of time"),
        (["--dead-retention", "9999w"], 2, "dead_retention_s ="),
        (["--event-retention", "-1"], 2, "'-1' is not a length of time"),
        (["--on-minority", "panic"], 2, "'panic' is not one of"),
        (["--zone", "rack 7"], 2, "zone name 'rack 7' is not allowed"),
        (["--name", "../x"], 2, "supervisor name '../x' is not allowed"),
        (["--health-port", "99999"], 2, "99999 is not in the range"),
        (["--log-level", "loud"], 2, "'loud' is not one of"),
        (["--lease", "3s"], 2, "No such option"),
        (["now"], 2, "unexpected extra argument"),
    ],
)
def test_what_no_supervisor_can_run_with_is_refused(
    shell: Shell, stored: Stored, words: list[str], code: int, said: str
) -> None:
    """Before anything is touched, in a sentence that says what would be right."""
    before = stored()

    result = shell("supervisor", *words)

    assert result.exit_code == code
    assert said in result.stderr
    assert stored() == before


def test_a_port_that_is_taken_is_said(shell: Shell, stored: Stored) -> None:
    """Not a traceback, and nobody campaigned."""
    before = stored()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        result = shell("supervisor", "--health-port", port)

    assert result.exit_code == 2
    assert f"Health checks cannot be served at 127.0.0.1:{port}" in result.stderr
    assert stored() == before


def test_flags_and_variables_arrive(shell: Shell, client: Client) -> None:
    """What the supervisor registers is what it was told; TERM ends it, off the list."""
    process = subprocess.Popen(
        [sys.executable, "-m", "coordq", "supervisor", "--zone", "rack-7", "--name", "sam"],
        env={
            **os.environ,
            **shell.environment,
            "COORDQ_SUPERVISOR_LEADER_LEASE": "2s",
            "COORDQ_SUPERVISOR_DEAD_RETENTION": "30d",
            "COORDQ_SUPERVISOR_ON_MINORITY": "continue",
            "COORDQ_SUPERVISOR_LOG_FORMAT": "json",
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        (seen,) = wait_until(lambda: look(client).supervisors)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()

    assert process.returncode == 0
    assert (seen.info["zone"], seen.name.partition(".")[0]) == ("rack-7", "sam")
    assert seen.info["settings"] == {
        "lease_s": 2,
        "on_minority": "continue",
        "audit_every_s": 60,
        "dead_retention_s": 30 * 86_400,
        "event_retention_s": 0,
        "stuck_after_s": 300,
    }
    assert (look(client).leader, look(client).supervisors) == (None, ())
    assert f'"supervisor": "{seen.name}"' in said


def look(client: Client) -> Standing:
    """Who leads, and who is there."""
    return client.engine.run(standing())
