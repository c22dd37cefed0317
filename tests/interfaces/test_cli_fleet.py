"""`coordq fleet up` and what is said to it, as far as no worker has to be started for it."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from coordq.client.client import Client
from coordq.engine import keys
from coordq.fleet.spawners import enlist, enlisted, inbox_of
from tests.interfaces.conftest import Shell
from tests.waiting import wait_until

pytestmark = pytest.mark.live

FILE = """
[groups.mail]
targets = ["./agents"]
queues = ["urgent:3", "mail"]
min = 1
max = 8

[groups.rest]
targets = "agents"
workers = 2
processes = 4
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A fleet file with its agents."""
    (tmp_path / "agents").mkdir()
    file = tmp_path / "fleet.toml"
    file.write_text(FILE)
    return file


def runs(client: Client, *names: str) -> None:
    """Make believe that fleets run: they are enlisted, but never answer."""
    for name in names:
        info: dict[str, Any] = {"name": name, "instance": name * 2, "groups": []}
        assert client.engine.run(enlist(name, info, instance=name * 2)) is None


# -- up --check ----------------------------------------------------------------------------------


def test_a_file_is_checked_without_running_it(shell: Shell, project: Path) -> None:
    """In a pipeline, before it is deployed."""
    result = shell("fleet", "up", str(project), "--check")

    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [
        "group\tworkers\tqueues",
        "mail\t1 to 8\turgent, mail",
        "rest\t2\t-",
    ]


def test_a_check_can_be_json(shell: Shell, project: Path) -> None:
    """With the name that orders would be addressed to."""
    seen = shell.json("fleet", "up", str(project), "--check", "--name", "shop")

    assert seen["name"] == "shop"
    assert seen["groups"][0] == {
        "name": "mail",
        "min": 1,
        "max": 8,
        "processes": 1,
        "queues": ["urgent", "mail"],
    }


def test_a_wrong_file_is_a_usage_error_with_its_place(shell: Shell, project: Path) -> None:
    """Code 2, the table, the nearest right key; as JSON also one by one."""
    project.write_text(FILE + "concurency = 3\nbeat = '5x'")
    plain = shell("fleet", "up", str(project))
    error = json.loads(shell("fleet", "up", str(project), "--json").stderr)["error"]

    assert plain.exit_code == 2
    assert "(code: invalid-fleet-file)" in plain.stderr
    assert "[groups.rest] concurency is not known; did you mean concurrency?" in plain.stderr
    assert len(error["problems"]) == 2
    assert error["file"] == str(project)


def test_a_target_that_is_not_there_is_told_before_anything_runs(
    shell: Shell, project: Path
) -> None:
    """Paths are relative to the file, wherever the command is run."""
    (project.parent / "agents").rmdir()
    result = shell("fleet", "up", str(project), "--check")

    assert result.exit_code == 2
    assert "[groups.mail] targets = './agents': there is no such file or folder" in result.stderr


def test_no_file_at_all_is_told_how_it_is_called(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fleet.toml, here, unless another is named."""
    monkeypatch.chdir(tmp_path)
    result = shell("fleet", "up")

    assert result.exit_code == 2
    assert "fleet.toml cannot be read: No such file or directory" in result.stderr


def test_a_name_that_cannot_be_one_is_refused(shell: Shell, project: Path) -> None:
    """It becomes part of keys and of the names of workers."""
    for name in ("a:b", "a b", "x" * 41):
        result = shell("fleet", "up", str(project), "--check", "--name", name)
        assert result.exit_code == 2
        assert "invalid-name" in result.stderr


# -- orders --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [("scale", "mail=1"), ("restart",), ("restart", "mail", "--rolling"), ("drain",), ("down",)],
)
def test_without_a_fleet_there_is_nobody_to_tell(shell: Shell, words: tuple[str, ...]) -> None:
    """Code 3, and how to start one."""
    result = shell("fleet", *words)

    assert result.exit_code == 3
    assert "No fleet runs in this namespace: start one with coordq fleet up." in result.stderr


def test_of_several_fleets_one_must_be_named(shell: Shell, client: Client) -> None:
    """The error lists those that run, for people and for programs."""
    runs(client, "shop", "blog")
    result = shell("fleet", "drain", "--json")
    error = json.loads(result.stderr)["error"]

    assert result.exit_code == 3
    assert error["message"] == "Several fleets run: blog, shop. Say which with --name."
    assert error["fleets"] == ["blog", "shop"]
    other = shell("fleet", "drain", "--name", "mail")
    assert "No fleet 'mail' runs; there is: blog, shop." in other.stderr


def test_nobody_has_to_wait_for_ever(shell: Shell, client: Client) -> None:
    """Code 1 after --timeout; the fleet goes on with what it was told."""
    runs(client, "shop")
    result = shell("fleet", "down", "--timeout", "100ms")

    assert result.exit_code == 1
    assert "wait-timeout" in result.stderr
    assert "it goes on" in result.stderr


def test_a_fleet_that_dies_before_it_answers_is_not_waited_for(
    shell: Shell, client: Client
) -> None:
    """Its entry in Redis expires, and whoever waits looks for it now and then."""
    runs(client, "shop")
    dying = Thread(target=expire_once_told, args=(client, "shop"))
    dying.start()
    result = shell("fleet", "down")
    dying.join()

    assert result.exit_code == 3
    assert "ended before it had answered" in result.stderr
    assert client.engine.run(enlisted()) == []


def expire_once_told(client: Client, name: str) -> None:
    """A fleet has got its order, and is not heard of any more."""
    root = keys.root(client.namespace, 0)
    inbox = keys.inbox(root, inbox_of(name))
    wait_until(lambda: client.engine.execute(0, "EXISTS", inbox), what="the order")
    client.engine.execute(0, "PEXPIRE", keys.spawner(root, name), 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("scale",), "Missing argument"),
        (("scale", "mail"), "'mail' is not of the form group=number, such as mail=4."),
        (("scale", "mail=x"), "is not of the form"),
        (("scale", "mail=-1"), "is not of the form"),
        (("scale", "=3"), "is not of the form"),
        (("scale", "mail=1", "mail=2"), "The size of 'mail' is given twice."),
        (("drain", "--timeout", "soon"), "is not a length of time"),
    ],
)
def test_words_that_make_no_order_are_usage_errors(
    shell: Shell, words: tuple[str, ...], said: str
) -> None:
    """Before anybody is asked."""
    result = shell("fleet", *words)

    assert result.exit_code == 2
    assert said in result.stderr


# -- being enlisted ------------------------------------------------------------------------------


def test_a_name_is_kept_by_who_has_it(client: Client) -> None:
    """Two spawners of one name would each do half of what they are told."""
    runs(client, "shop")
    other = {"name": "shop", "instance": "other", "groups": []}

    held = client.engine.run(enlist("shop", other, instance="other"))
    assert held is not None
    assert held["instance"] == "shopshop"
    runs(client, "shop")
    assert client.engine.run(enlist("shop", other, instance="other", former="shopshop")) is None
    assert client.engine.run(enlisted()) == [other]
