"""`coordq doctor` finds what would cost somebody their work."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from coordq.client.client import Client
from coordq.interfaces import checkup
from tests.interfaces.conftest import Shell
from tests.replicas import Guarded
from tests.servers import Server


def checks(shell: Shell, *words: str) -> dict[str, dict[str, Any]]:
    """Findings by the name of their check."""
    found = json.loads(shell("doctor", "--json", *words).stdout)["checks"]
    return {finding["check"]: finding for finding in found}


def test_a_good_redis_passes(
    new_server: Callable[..., Server], namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 0, and every question was asked; that this machine is busy is no fault of Redis."""
    for limit in ("SLOW_MS", "SKEW_MS"):
        monkeypatch.setattr(checkup, limit, 60_000)
    shell = Shell(new_server(appendonly="yes").url, namespace)
    found = checks(shell, "--strict")

    assert shell("doctor", "--strict").exit_code == 0
    assert {finding["grade"] for finding in found.values()} <= {"ok", "info"}
    assert {
        "reach",
        "latency",
        "version",
        "eviction",
        "memory",
        "persistence",
        "replicas",
    } <= found.keys()
    assert {"clock", "schema", "scripts", "claims", "workers", "queues", "mode"} <= found.keys()
    assert "may run twice" in found["mode"]["says"]


def test_a_redis_that_forgets_is_a_warning(shell: Shell) -> None:
    """Nothing is persisted on the shared server."""
    assert checks(shell)["persistence"]["grade"] == "warn"
    assert shell("doctor").exit_code == 0
    assert shell("doctor", "--strict").exit_code == 1


def test_a_redis_that_cannot_be_reached_is_a_finding() -> None:
    """The doctor does not fail, it answers."""
    result = Shell("redis://127.0.0.1:1", "x")("doctor", "--json", "--patience", "0")

    assert result.exit_code == 1
    (finding,) = json.loads(result.stdout)["checks"]
    assert (finding["check"], finding["grade"], finding["code"]) == ("reach", "bad", "unreachable")


def test_an_evicting_redis_is_a_finding(new_server: Callable[..., Server], namespace: str) -> None:
    """With the command that mends it."""
    server = new_server(maxmemory="10mb", maxmemory_policy="allkeys-lru")
    result = Shell(server.url, namespace)("doctor")

    assert result.exit_code == 1
    assert "config set maxmemory-policy noeviction" in result.stdout


def test_a_replica_is_a_finding(guarded: Guarded, namespace: str) -> None:
    """Somebody pasted the wrong address."""
    shell = Shell(guarded.replica.url, namespace)
    result = shell("doctor", "--patience", "0")

    assert result.exit_code == 1
    assert checks(Shell(guarded.url, namespace))["replicas"]["replicas"] == 1


def test_ready_work_that_nobody_serves_is_a_warning(shell: Shell, client: Client) -> None:
    """And so is a paused queue with work in it."""
    client.work.enqueue("echo", {})
    client.work.enqueue("echo", {}, queue="mail")
    client.work.pause("mail")

    says = checks(shell)["queues"]["says"]
    assert "nobody serves default" in says
    assert "mail is paused with 1 ready" in says


def test_lapsed_claims_are_counted(shell: Shell, client: Client) -> None:
    """Orphans: their worker is gone, and no other is there to take them back."""
    handle = client.work.enqueue("echo", {})
    client.work.claim_one(handle.id, claimant="hand")
    client.engine.execute(
        0, "ZADD", f"cq:{{{client.namespace}.0}}:lease", "XX", 1, *_member(client)
    )

    assert checks(shell)["claims"]["lapsed"] == 1


def _member(client: Client) -> list[bytes]:
    found: list[bytes] = client.engine.execute(
        0, "ZRANGE", f"cq:{{{client.namespace}.0}}:lease", 0, -1
    )
    return found


def test_a_wrong_type_under_our_key_is_a_finding(
    shell: Shell, client: Client, redis_server: Server
) -> None:
    """One broken key must not keep the doctor from the other questions."""
    redis_server.ask("SET", f"cq:{{{client.namespace}.0}}:lease", "x")
    found = checks(shell)

    assert found["claims"]["grade"] == "bad"
    assert found["scripts"]["grade"] == "ok"
