"""coordq fleet status, forget, expect and read-only, and --force."""

from __future__ import annotations

import json

from coordq.client.client import Client
from coordq.fleet.election import Candidate, campaign
from coordq.work.beat import Pulse, beat
from tests.interfaces.conftest import Shell

INFO = {"zone": "rack-1", "beat_ms": 2000, "lease_ms": 10_000, "incarnation": 3, "protocol": 2}


def live(client: Client, name: str, **facts: object) -> None:
    """A worker that has just beaten."""
    client.engine.run(beat(0, Pulse(name, (), json.dumps(INFO | facts).encode())))


def test_status_says_who_leads_and_who_is_there(shell: Shell, client: Client) -> None:
    """For people: names and figures; without a leader, that there is none."""
    live(client, "w1")
    alone = shell("fleet", "status").stdout
    client.engine.run(campaign(Candidate("sup")))
    led = shell("fleet", "status").stdout

    assert "no leader" in alone
    assert "sup, epoch " in led
    assert "zone rack-1\t1 healthy" in led
    assert "w1\track-1\thealthy\t" in led
    assert led.splitlines()[-1].endswith("\t2.0s\t3")


def test_status_is_one_json_document(shell: Shell, client: Client) -> None:
    """For programs: the same, with stable names."""
    live(client, "w1")

    facts = shell.json("fleet", "status")

    assert facts["leader"] is None
    assert facts["zones"] == {"rack-1": {"healthy": 1}}
    assert (facts["known"], facts["reachable"], facts["mode"]) == (1, 1, "writable")
    assert facts["workers"][0]["incarnation"] == 3


AGENTS = [{"name": "ada", "role": "critic"}, {"name": "bob", "role": ""}]


def test_what_each_agent_has_done(shell: Shell, client: Client) -> None:
    """A row for each; a worker that does not say it is told apart from one that did nothing."""
    done = {"succeeded": 99, "failed": 1, "worked_ms": 25_000, "running": 2}
    live(client, "w1", agents=AGENTS, by_agent={"ada": done})
    live(client, "w2", agents=AGENTS)

    head, ada, bob = shell("fleet", "agents").stdout.splitlines()
    found = shell.json("fleet", "agents")

    assert head.split("\t")[:3] == ["agent", "role", "workers"]
    assert ada.split("\t") == ["ada", "critic", "1+1", "2", "99", "1", "99.0 %", "250ms", "-"]
    assert bob.split("\t") == ["bob", "-", "1+1", "0", "0", "0", "-", "-", "-"]
    assert [one["name"] for one in found] == ["ada", "bob"]
    assert (found[0]["mean_ms"], found[0]["uncounted"], found[0]["recent"]) == (250.0, 1, None)


def test_a_fleet_without_workers_has_no_agents(shell: Shell) -> None:
    """Before the first worker."""
    assert shell("fleet", "agents").exit_code == 0
    assert shell.json("fleet", "agents") == []


def test_an_empty_fleet_has_a_status(shell: Shell) -> None:
    """Before the first worker."""
    assert shell("fleet", "status").exit_code == 0
    assert shell.json("fleet", "status")["workers"] == []


def test_read_only_from_the_shell(shell: Shell) -> None:
    """On, refused with its exit code, forced, explained, off."""
    assert shell("fleet", "read-only", "on", "--reason", "moving house").exit_code == 0
    refused = shell("enqueue", "echo", "text=hi")
    forced = shell.line("enqueue", "echo", "text=hi", "--force")

    assert refused.exit_code == 5
    assert "moving house" in refused.stderr
    assert "coordq fleet read-only off" in refused.stderr
    assert "The fleet is read-only" in shell("why", forced).stdout
    assert "moving house" in shell("fleet", "status").stdout
    assert shell.json("fleet", "read-only", "off") == {"read_only": False, "changed": True}
    assert shell.json("fleet", "read-only", "off") == {"read_only": False, "changed": False}
    assert shell("enqueue", "echo", "text=hi").exit_code == 0


def test_expect_from_the_shell(shell: Shell) -> None:
    """A number, or auto."""
    assert shell.line("fleet", "expect", "5") == "the fleet is expected to be 5 workers"
    assert shell.json("fleet", "status")["expected"] == 5
    assert shell.line("fleet", "expect", "auto") == "the fleet is counted"
    assert shell.json("fleet", "status")["expected"] is None


def test_bad_input_is_refused_with_what_to_say(shell: Shell, client: Client) -> None:
    """Usage is 2, not found is 3, refused is 5; nothing destroys without being told to."""
    live(client, "w1")

    assert shell("fleet", "expect", "many").exit_code == 2
    assert shell("fleet", "expect", "0").exit_code == 2
    assert shell("fleet", "read-only", "maybe").exit_code == 2
    assert shell("fleet", "forget", "w1").exit_code == 2, "nobody is there to ask"
    assert shell("fleet", "forget", "w9", "--yes").exit_code == 3
    assert shell("fleet", "forget", "w1", "--yes").exit_code == 5
    assert shell("worker", "x.py", "--zone", "no spaces").exit_code == 2
    unknown = shell("fleet", "statsu")
    assert unknown.exit_code == 2
    assert "Did you mean 'status'?" in unknown.stderr


def test_forget_from_the_shell(shell: Shell, client: Client) -> None:
    """A worker that is silent, with what it held."""
    live(client, "w1")
    client.engine.execute(0, "ZADD", f"cq:{{{client.namespace}.0}}:workers", 1, "w1")

    assert (
        shell.line("fleet", "forget", "w1", "--yes") == "worker w1 is forgotten: 0 claims go back"
    )
    assert shell.json("fleet", "status")["workers"] == []
