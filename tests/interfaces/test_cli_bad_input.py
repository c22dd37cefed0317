"""What bad input gets from a shell: a sentence, a code, an exit code, and nothing changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from coordq.client.client import Client
from tests.interfaces.conftest import Shell
from tests.servers import Server

Stored = Callable[[], dict[bytes, bytes]]
NOBODY = "0" * 22

BAD: dict[str, tuple[list[str], int, str, str]] = {
    "a task name with a space": (["enqueue", "a b"], 2, "invalid-name", "task name 'a b'"),
    "an empty task name": (["enqueue", ""], 2, "invalid-name", "task name ''"),
    "a task name in another alphabet": (["enqueue", "héllo"], 2, "invalid-name", "héllo"),
    "a task name of 101 characters": (["enqueue", "x" * 101], 2, "invalid-name", "1 to 100"),
    "a queue with a newline": (["enqueue", "e", "-q", "a\nb"], 2, "invalid-name", "queue name"),
    "a role with a plus": (["enqueue", "e", "--role", "a+b"], 2, "invalid-name", "role name"),
    "no task name": (["enqueue"], 2, "usage", "which task"),
    "no equals sign": (["enqueue", "e", "text"], 2, "invalid-arguments", "key=value"),
    "no key": (["enqueue", "e", "=1"], 2, "invalid-arguments", "names no argument"),
    "a key twice": (["enqueue", "e", "a=1", "a=2"], 2, "invalid-arguments", "given twice"),
    "forced JSON that is none": (["enqueue", "e", "a:={"], 2, "invalid-arguments", "JSON"),
    "forced NaN": (["enqueue", "e", "a:=NaN"], 2, "invalid-arguments", "NaN"),
    "a number out of range": (["enqueue", "e", "a=1e999"], 2, "invalid-arguments", "JSON"),
    "an integer of 5,000 digits": (
        ["enqueue", "e", "a:=" + "9" * 5000],
        2,
        "invalid-arguments",
        "a",
    ),
    "JSON nested 200 deep": (
        ["enqueue", "e", "a=" + "[" * 200 + "]" * 200],
        2,
        "invalid-arguments",
        "deep",
    ),
    "JSON nested 90,000 deep": (
        ["enqueue", "e", "a:=" + "[" * 90_000],
        2,
        "invalid-arguments",
        "deep",
    ),
    "a file that is not there": (
        ["enqueue", "e", "a=@/no/where"],
        2,
        "invalid-arguments",
        "No such",
    ),
    "--args that is an array": (["enqueue", "e", "--args", "[1]"], 2, "invalid-arguments", "array"),
    "--args that is no JSON": (["enqueue", "e", "--args", "{"], 2, "invalid-arguments", "JSON"),
    "half a surrogate pair": (
        ["enqueue", "e", 'a:="\\ud800"'],
        2,
        "invalid-arguments",
        "surrogate",
    ),
    "a payload over 1 MiB": (
        ["enqueue", "e", "a=" + "x" * 2**20],
        2,
        "payload-too-large",
        "1,048,576",
    ),
    "a negative delay": (["enqueue", "e", "--delay", "-5"], 2, "usage", "length of time"),
    "a delay in words": (["enqueue", "e", "--delay", "soon"], 2, "usage", "length of time"),
    "a delay of a century": (["enqueue", "e", "--delay", "36500d"], 2, "invalid-time", "ten years"),
    "a moment that is none": (["enqueue", "e", "--at", "tomorrow"], 2, "usage", "moment"),
    "delay and at": (["enqueue", "e", "--delay", "1", "--at", "9"], 2, "invalid-option", "twice"),
    "no attempts": (["enqueue", "e", "--max-attempts", "0"], 2, "invalid-option", "max_attempts"),
    "attempts in words": (["enqueue", "e", "--max-attempts", "many"], 2, "usage", "integer"),
    "an unknown priority": (["enqueue", "e", "--priority", "urgent"], 2, "usage", "critical"),
    "an unknown option": (["enqueue", "e", "--qeue", "x"], 2, "usage", "--queue"),
    "a header without a value": (["enqueue", "e", "--header", "x"], 2, "usage", "name=value"),
    "headers of 5,000 characters": (
        ["enqueue", "e", "--header", "a=" + "x" * 5000],
        2,
        "invalid-option",
        "4096",
    ),
    "unique-for without unique": (
        ["enqueue", "e", "--unique-for", "5m"],
        2,
        "invalid-option",
        "unique",
    ),
    "an empty unique key": (["enqueue", "e", "--unique", ""], 2, "invalid-option", "empty"),
    "an id that is none": (["enqueue", "e", "--id", "x"], 2, "invalid-option", "new_id"),
    "an id of another shard": (
        ["enqueue", "e", "--id", "000000000v" + "0" * 12],
        2,
        "invalid-option",
        "shard",
    ),
    "waits that are none": (["enqueue", "e", "--backoff", "1s,x"], 2, "usage", "length of time"),
    "a file of tasks that is not there": (
        ["enqueue", "--file", "/no/where"],
        2,
        "invalid-input",
        "No such",
    ),
    "a folder as a file": (["enqueue", "--file", "/"], 2, "invalid-input", "directory"),
    "a file and pairs": (["enqueue", "e", "a=1", "--file", "-"], 2, "usage", "from the file"),
    "skip-bad without a file": (["enqueue", "e", "--skip-bad"], 2, "usage", "--file"),
    "show of what is no id": (["show", "../../etc"], 3, "task-not-found", "22 characters"),
    "show of nobody": (["show", NOBODY], 3, "task-not-found", "never existed"),
    "why of nobody": (["why", NOBODY], 3, "task-not-found", "never existed"),
    "logs of nobody": (["logs", NOBODY], 3, "task-not-found", "never existed"),
    "result of nobody": (["result", NOBODY], 3, "task-not-found", "never existed"),
    "cancel of nobody": (["cancel", NOBODY], 3, "task-not-found", "never existed"),
    "retry of nobody": (["retry", NOBODY], 3, "task-not-found", "could be retried"),
    "cancel without ids": (["cancel"], 2, "usage", "ID"),
    "an unknown state": (["ls", "--state", "done"], 2, "usage", "succeeded"),
    "a limit of zero": (["ls", "--limit", "0"], 2, "usage", "0"),
    "a queue nobody used": (["queue", "show", "mail"], 3, "queue-not-found", "'mail'"),
    "purge of a queue nobody used": (
        ["queue", "purge", "mail", "--yes"],
        3,
        "queue-not-found",
        "mail",
    ),
    "a limit without a mark": (["queue", "limit", "mail"], 2, "usage", "Nothing to set"),
    "a negative mark": (["queue", "limit", "mail", "--high", "-1"], 2, "usage", "-1"),
    "low above high": (
        ["queue", "limit", "mail", "--high", "1", "--low", "2"],
        2,
        "invalid-option",
        "above",
    ),
    "a size in words": (["queue", "limit", "mail", "--max-bytes", "big"], 2, "usage", "64MB"),
    "pause of a bad name": (["queue", "pause", "a b"], 2, "invalid-name", "queue name"),
    "revive without a choice": (["dead", "revive"], 2, "usage", "Which ones"),
    "revive of ids and all": (["dead", "revive", NOBODY, "--all"], 2, "usage", "not both"),
    "an unknown kind of event": (["events", "--kind", "exploded"], 2, "usage", "crashed"),
    "drain of nobody": (["workers", "drain", "web-9"], 3, "worker-not-found", "web-9"),
    "an unknown command": (["dance"], 2, "usage", "no command 'dance'"),
    "an unknown shell": (["completion", "cmd"], 2, "usage", "bash"),
    "a worker on nothing": (["worker", "/no/such/workers.py"], 1, "", ""),
    "a worker with a lease below its beat": (
        ["worker", "x", "--lease", "1s"],
        2,
        "invalid-option",
        "lease",
    ),
    "a worker with a weight in words": (["worker", "x", "-q", "a:lots"], 2, "usage", "weight"),
    "a worker with no processes": (["worker", "x", "-p", "0"], 2, "invalid-option", "processes"),
    "a namespace in capitals": (["--namespace", "Prod", "ls"], 2, "invalid-name", "namespace"),
    "an address of no kind": (["ls", "--url", "http://x"], 2, "invalid-url", "redis://"),
    "an address without a server": (
        ["ls", "--url", "redis://127.0.0.1:1", "--patience", "0"],
        4,
        "unreachable",
        "did not answer",
    ),
}


@pytest.mark.parametrize("name", [name for name in BAD if not name.startswith("a worker on")])
def test_bad_input_is_refused_and_changes_nothing(shell: Shell, stored: Stored, name: str) -> None:
    """As JSON for programs, with the same code and exit code as for people."""
    words, exit_code, code, part = BAD[name]
    before = stored()
    result = shell("--json", *words)

    error = json.loads(result.stderr.splitlines()[-1])["error"]
    assert (result.exit_code, error["code"]) == (exit_code, code)
    assert part in error["message"]
    assert stored() == before


@pytest.mark.parametrize("name", list(BAD)[:3])
def test_people_get_one_sentence(shell: Shell, name: str) -> None:
    """What happened, and the code to look up."""
    words, _, code, part = BAD[name]
    (line,) = shell(*words).stderr.splitlines()

    assert line.startswith("coordq: ")
    assert part in line
    assert line.endswith(f"(code: {code})")


@pytest.mark.parametrize("value", ["maybe", "-1", "99999"])
def test_a_bad_variable_is_named(shell: Shell, value: str) -> None:
    """It is set far away from where it fails."""
    result = shell("worker", "x", COORDQ_WORKER_HEALTH_PORT=value)

    assert result.exit_code == 2
    assert "--health-port" in result.stderr


def test_arguments_that_are_no_unicode_are_refused(shell: Shell, stored: Stored) -> None:
    """A shell passes any bytes."""
    before = stored()
    command: list[str | bytes] = [sys.executable, "-m", "coordq", "enqueue", "echo", b"a=\xff\xfe"]
    done = subprocess.run(command, env=shell.environment, capture_output=True, check=False)

    assert done.returncode == 2
    assert b"Unicode" in done.stderr
    assert b"Traceback" not in done.stderr
    assert stored() == before


def test_a_file_that_is_no_text_is_refused(shell: Shell, stored: Stored, tmp_path: Path) -> None:
    """JSON holds text; a picture belongs elsewhere."""
    (tmp_path / "picture").write_bytes(b"\x89PNG\xff")
    before = stored()
    result = shell("enqueue", "echo", f"a=@{tmp_path}/picture")

    assert result.exit_code == 2
    assert "not UTF-8" in result.stderr
    assert stored() == before


def test_a_foreign_record_is_shown_as_what_it_is(
    shell: Shell, client: Client, redis_server: Server
) -> None:
    """Somebody wrote under our keys: the sentence says so, and the others are still listed."""
    handle = client.work.enqueue("echo", {})
    redis_server.ask("SET", f"cq:{{{client.namespace}.0}}:t:{handle.id}", b"\x00garbage")
    result = shell("show", handle.id)

    assert result.exit_code == 1
    assert "(code: foreign-data)" in result.stderr
    assert shell("ls").exit_code == 0


def test_a_full_redis_refuses_new_work(new_server: Callable[..., Server], namespace: str) -> None:
    """Exit 5: try again when it has drained."""
    server = new_server(maxmemory="3mb")
    shell = Shell(server.url, namespace)
    assert shell("enqueue", "echo").exit_code == 0
    server.config(maxmemory="1")
    result = shell("enqueue", "echo")

    assert result.exit_code == 5
    assert "(code: redis-full)" in result.stderr


def test_an_evicting_redis_is_refused(new_server: Callable[..., Server], namespace: str) -> None:
    """It would delete tasks."""
    server = new_server(maxmemory="10mb", maxmemory_policy="allkeys-lru")
    result = Shell(server.url, namespace)("enqueue", "echo")

    assert result.exit_code == 5
    assert "(code: server-evicts)" in result.stderr


def test_what_nobody_foresaw_is_one_line_and_a_hint(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback is for those who ask for it."""
    monkeypatch.setattr("coordq.client.client.connect", lambda *_a, **_k: 1 / 0)
    result = shell("ls")

    assert result.exit_code == 1
    assert result.stderr == (
        "coordq: ZeroDivisionError: division by zero. Set COORDQ_DEBUG=1 to see where (code: bug)\n"
    )
    assert "Traceback" in shell("ls", COORDQ_DEBUG="1").stderr


def test_ctrl_c_is_quiet(shell: Shell, client: Client) -> None:
    """130, as shells expect, and no traceback."""
    client.work.enqueue("echo", {})
    command = [sys.executable, "-u", "-m", "coordq", "events", "-f"]
    with subprocess.Popen(
        command, env=shell.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        os.kill(process.pid, 2)
        assert process.wait(60) == 130
        assert process.stderr.read().strip() == ""
