"""Agents from a shell."""

from __future__ import annotations

import json
import shlex

import pytest

from coordq.client.client import Client
from coordq.fleet import registry
from coordq.fleet.profile import make_profile
from coordq.work.beat import Pulse, beat
from tests.interfaces.conftest import Shell

WORDS = (
    "--role reviewer --can python --can http --task review --interests rail --zone mars"
    " --max-load 3 --weight 2 --stand-ins bob --ttl 5m"
)


def serve(client: Client, worker: str, *agents: str) -> None:
    """A worker that has agents."""
    info = {"worker": worker, "zone": "rack-1", "slots": 4, "running": 1}
    info["agents"] = [{"name": name, "role": "", "tasks": []} for name in agents]
    client.engine.run(beat(0, Pulse(worker, (), json.dumps(info).encode())))
    profiles = {name: make_profile(name, persona="You serve.") for name in agents}
    client.engine.run(registry.host(worker, profiles))


def test_an_agent_from_the_command_line_is_what_was_said(shell: Shell, client: Client) -> None:
    """Every flag arrives."""
    persona = '{"voice": "short"}'

    said = shell.line("agents", "register", "ann", *shlex.split(WORDS), "--persona", persona)

    view = client.agents.get("ann")
    assert said == "agent ann is registered: version 1"
    assert (view.role, sorted(view.capabilities), view.tasks) == (
        "reviewer",
        ["http", "python"],
        frozenset({"review"}),
    )
    assert (view.interests, view.zones, view.max_load, view.weight) == ("rail", ("mars",), 3, 2)
    assert (view.stand_ins, view.persona) == (("bob",), {"voice": "short"})
    assert client.agents.heartbeat("ann") == 300


def test_agents_are_listed_with_where_they_are(shell: Shell, client: Client) -> None:
    """On how many workers, outside, or away; and who acts for them."""
    serve(client, "w1", "ada")
    shell("agents", "register", "bob", "--role", "reader")
    shell("agents", "register", "eve")
    shell("agents", "leave", "eve")
    shell("agents", "stand-in", "eve", "bob")

    rows = [line.split("\t") for line in shell("agents", "ls").stdout.splitlines()[1:]]

    assert rows == [
        ["ada", "-", "on 1", "25%", "rack-1", "-"],
        ["bob", "reader", "outside", "0%", "-", "-"],
        ["eve", "-", "away, bob stands in", "-", "-", "-"],
    ]
    assert [view["state"] for view in shell.json("agents", "ls")] == ["serving", "outside", "away"]


def test_agents_are_found_by_what_is_asked(shell: Shell) -> None:
    """Words, and flags that must all hold."""
    shell("agents", "register", "ann", "--can", "http", "--interests", "rail and road")
    shell("agents", "register", "bob", "--can", "http", "--can", "pdf", "--interests", "rail")

    def names(*words: str) -> list[str]:
        return [view["name"] for view in shell.json("agents", "find", *words)]

    assert names("road", "rail") == ["ann", "bob"]
    assert names("--can", "http", "--can", "pdf") == ["bob"]
    assert names("--limit", "1") == ["ann"]
    assert names("--state", "away") == []
    assert shell.json("agents", "find", "--role", "nobody") == []


def test_who_should_do_it_is_said_with_reasons(shell: Shell) -> None:
    """Best first; a table for people, the parts of the score for programs."""
    shell("agents", "register", "ann", "--task", "read", "--can", "pdf")
    shell("agents", "register", "bob", "--task", "read")

    rows = shell("agents", "recommend", "read", "--prefer", "pdf").stdout.splitlines()[1:]
    (best,) = shell.json("agents", "recommend", "-n", "1")

    assert [row.split("\t")[0] for row in rows] == ["ann", "bob"]
    assert rows[1].split("\t")[2].startswith("lacks pdf; 0% busy, as it says; has not run yet")
    assert set(best["parts"]) == {"match", "free", "success", "speed"}
    assert shell.json("agents", "recommend", "paint") == []


def test_everything_about_an_agent_is_shown(shell: Shell, client: Client) -> None:
    """For people, its persona and who acts for it as well."""
    serve(client, "w1", "ada", "bob")
    shell("agents", "stand-in", "ada", "bob")
    shell("agents", "update", "ada", "--weight", "3", "--max-load", "2")

    facts = shell("agents", "show", "ada").stdout

    for line in ("state\ton 1: w1", "weight\t3", "max load\t2", "persona text\tYou serve."):
        assert line in facts
    assert "stood in by\tbob, says " in facts
    assert shell.json("agents", "show", "ada")["stood_in_by"]["by"] == "bob"


def test_what_was_said_of_an_agent_is_taken_back(shell: Shell, client: Client) -> None:
    """And so is a stand-in."""
    serve(client, "w1", "ada", "bob")
    shell("agents", "stand-in", "ada", "bob")
    shell("agents", "update", "ada", "--weight", "3")

    assert shell.line("agents", "update", "ada", "--reset", "weight") == (
        "agent ada is changed: version 3"
    )
    assert shell.line("agents", "stand-in", "ada", "--end") == "nobody stands in for agent ada"
    assert (client.agents.get("ada").weight, client.agents.stand_ins()) == (1, {})


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("show nobody", 3),
        ("leave nobody", 3),
        ("leave ada", 5),
        ("leave bob --forget", 2),
        ("update ada", 2),
        ("update ada --weight 0", 2),
        ("update nobody --weight 1", 3),
        ("update ada --weight 2 --if-version 9", 5),
        ("update ada --reset colour", 2),
        ("register ada", 5),
        ("register 'a b'", 2),
        ("register eve --persona '{'", 2),
        ("register eve --if-version 3", 5),
        ("register eve --ttl soon", 2),
        ("stand-in ada", 2),
        ("stand-in ada ada", 5),
        ("stand-in ada nobody", 3),
        ("stand-in ada bob --end", 2),
        ("find --max-load 2", 2),
        ("find --state lost", 2),
        ("recommend 'a b'", 2),
        ("recommend read -n 0", 2),
        ("fnid", 2),
    ],
)
def test_bad_input_is_refused(shell: Shell, client: Client, words: str, code: int) -> None:
    """Usage is 2, not found is 3, refused is 5; a sentence, no traceback."""
    serve(client, "w1", "ada")
    client.agents.register("bob")
    client.agents.leave("bob")

    result = shell("agents", *shlex.split(words))

    assert result.exit_code == code, result.stderr
    assert result.stderr
    assert "Traceback" not in result.stderr


def test_an_agent_that_does_not_answer_is_named(shell: Shell, client: Client) -> None:
    """A worker that beats, and has no process to answer: exit code 1."""
    assert shell("fleet", "ping").exit_code == 0
    serve(client, "w1", "ada")

    result = shell("fleet", "ping", "--timeout", "0.1s")

    assert result.exit_code == 1
    row = result.stdout.splitlines()[-1]
    assert row.split("\t") == ["ada", "serving", "0", "-", "-", "w1"]
    assert shell("fleet", "ping", "--timeout", "2m").exit_code == 2
