"""What `coordq doctor` says of supervisors, workers and whether the fleet may work."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coordq.client.client import Client
from coordq.clock import now_ms
from coordq.fleet.election import Candidate, campaign
from coordq.interfaces import fleet_checkup
from coordq.work.beat import Pulse, beat
from tests.interfaces.conftest import Shell

SETTINGS = {"lease_s": 60.0, "audit_every_s": 60.0}


def checks(shell: Shell) -> dict[str, dict[str, Any]]:
    """Findings by the name of their check."""
    found = json.loads(shell("doctor", "--json").stdout)["checks"]
    return {finding["check"]: finding for finding in found}


def run_for_office(client: Client, name: str, *, skew_ms: int = 0, **settings: Any) -> None:
    """A supervisor leads, or stands by."""
    ours = {**SETTINGS, **settings}
    info = {"settings": ours, "clock_ms": now_ms() + skew_ms}
    client.engine.run(campaign(Candidate(name, 60_000, ours, info)))


def test_a_fleet_without_a_supervisor_is_told_what_it_misses(shell: Shell) -> None:
    """It is no danger, so no warning."""
    found = checks(shell)

    assert found["supervisors"]["grade"] == "info"
    assert "coordq supervisor" in found["supervisors"]["says"]
    assert "settings" not in found


def test_who_leads_and_who_waits_is_said(shell: Shell, client: Client) -> None:
    """One alone leads well, but has nobody to take over."""
    run_for_office(client, "s1")
    alone = checks(shell)["supervisors"]
    run_for_office(client, "s2")

    both = checks(shell)["supervisors"]

    assert (alone["grade"], alone["leader"], alone["waiting"]) == ("ok", "s1", [])
    assert "nobody takes over" in alone["says"]
    assert both["waiting"] == ["s2"]


def test_supervisors_with_different_settings_are_a_warning(shell: Shell, client: Client) -> None:
    """Whoever wins the next election changes how the fleet is led."""
    run_for_office(client, "s1")
    run_for_office(client, "s2", audit_every_s=5.0)

    found = checks(shell)["settings"]

    assert (found["grade"], found["differ"]) == ("warn", ["audit_every_s"])
    assert "s2 would lead with other settings than s1: audit_every_s 5.0, not 60.0" in found["says"]


def test_a_supervisor_whose_clock_is_wrong_is_a_warning(
    shell: Shell, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is decided by it, but its log lies."""
    monkeypatch.setattr(fleet_checkup, "SKEW_MS", 60_000)  # what stops between two clocks' reading
    run_for_office(client, "s1", skew_ms=-7_200_000)
    run_for_office(client, "s2")

    found = checks(shell)["supervisor clocks"]

    assert found["grade"] == "warn"
    assert list(found["skew_ms"]) == ["s1"]
    assert "s1 2h" in found["says"] or "s1 1h59m" in found["says"]


def test_workers_of_an_old_version_are_a_warning(shell: Shell, client: Client) -> None:
    """They work, but cannot be told to stop taking work."""
    for name, info in (("new", {"protocol": 2}), ("old", {})):
        client.engine.run(beat(0, Pulse(name, info=json.dumps(info).encode())))

    found = checks(shell)

    assert found["workers"]["alive"] == 2
    assert (found["protocol"]["grade"], found["protocol"]["workers"]) == ("warn", ["old"])


def test_a_read_only_fleet_is_a_warning(shell: Shell) -> None:
    """With who did it, why, and how it ends."""
    assert checks(shell)["read-only"]["grade"] == "ok"
    assert shell("fleet", "read-only", "on", "--reason", "moving").exit_code == 0

    found = checks(shell)["read-only"]

    assert (found["grade"], found["by"]) == ("warn", "operator")
    assert "(moving)" in found["says"]
    assert "coordq fleet read-only off" in found["says"]
