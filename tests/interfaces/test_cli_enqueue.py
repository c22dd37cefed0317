"""Enqueueing from a shell: arguments, options, files, and waiting for the result."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordq.client.client import Client
from coordq.errors import InvalidArguments
from coordq.ids import is_id, new_id
from coordq.interfaces.cli.pairs import guess, read_arguments
from coordq.spans import parse_span
from tests.interfaces.conftest import Shell, end
from tests.waiting import wait_until

Stored = Callable[[], dict[bytes, bytes]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("hi", "hi"),
        ("3", 3),
        ("-1.5e3", -1500.0),
        ("true", True),
        ("null", None),
        ("nope", "nope"),
        ("007", "007"),
        ("1.2.3", "1.2.3"),
        ('"3"', "3"),
        ("[1, 2]", [1, 2]),
        ('{"a": {"b": 1}}', {"a": {"b": 1}}),
        ("{not json", "{not json"),
        ("NaN", "NaN"),
        ("[" * 100_000, "[" * 100_000),
        ("9" * 5000, "9" * 5000),
        ("", ""),
        ("https://x.org/?a=b&c:=d", "https://x.org/?a=b&c:=d"),
        ("2026-01-31", "2026-01-31"),
    ],
)
def test_a_value_is_json_only_when_it_looks_like_it(text: str, value: Any) -> None:
    """Numbers arrive as numbers, and nothing that was meant as text is bent."""
    assert guess(text) == value


def test_a_pair_may_force_json_or_read_a_file(tmp_path: Path) -> None:
    """What a shell cannot hold comes from a file; what would be guessed wrong is forced."""
    (tmp_path / "page").write_text("7\n")
    pairs = ["a:=7", 'b:="7"', f"c=@{tmp_path}/page", f"d:=@{tmp_path}/page", "e=x=y"]

    assert read_arguments(pairs, None) == {"a": 7, "b": "7", "c": "7\n", "d": 7, "e": "x=y"}


def test_a_pair_is_stronger_than_args() -> None:
    """`--args` holds what is common, pairs what differs."""
    assert read_arguments(["depth=2"], '{"url": "x", "depth": 1}') == {"url": "x", "depth": 2}


def test_a_pair_given_twice_is_refused() -> None:
    """One of the two would be lost without a word."""
    with pytest.raises(InvalidArguments, match="twice"):
        read_arguments(["a=1", "a=2"], None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("5m", 300),
        ("2h", 7200),
        ("1d", 86400),
        ("1h30m", 5400),
        ("250ms", 0.25),
        ("1.5", 1.5),
        ("1w", 604800),
    ],
)
def test_a_length_of_time_has_a_unit(text: str, seconds: float) -> None:
    """Seconds unless a unit says otherwise."""
    assert parse_span(text) == seconds


@pytest.mark.parametrize("text", ["", "5 minutes", "-5", "m", "1h30", "1_000", "٣s", "1e3", "inf"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    """A guess would be wrong by a factor of sixty."""
    assert parse_span(text) is None


def test_enqueue_prints_the_id_alone(shell: Shell, client: Client) -> None:
    """`id=$(coordq enqueue ...)` must work."""
    task_id = shell.line("enqueue", "echo", "text=hi", "n=3")

    assert is_id(task_id)
    assert client.work.get(task_id).args == {"text": "hi", "n": 3}


def test_every_option_reaches_the_task(shell: Shell, client: Client) -> None:
    """A flag that is accepted and forgotten is worse than none."""
    task_id = new_id()
    words = "--queue mail --priority high --delay 5m --max-attempts 7 --backoff 1s,1m --timeout 30"
    words += " --expires 1h --total-timeout 1d --result-ttl 2h --role reader --capability http"
    words += f" --capability gpu --header trace=abc --unique k --unique-for 1h --id {task_id}"
    shell.line("enqueue", "echo", *words.split())

    task = client.work.get(task_id)
    spec = task.spec
    assert (task.queue, task.priority, task.max_attempts) == ("mail", "high", 7)
    assert (spec.timeout_ms, spec.expires_ms, spec.total_ms) == (30_000, 3_600_000, 86_400_000)
    assert (spec.result_ttl, spec.unique_ms) == (7200, 3_600_000)
    assert (spec.role, spec.capabilities) == ("reader", ("gpu", "http"))
    assert spec.headers == {"trace": "abc"}
    assert spec.backoff is not None
    assert spec.backoff.delays == (1.0, 60.0)
    assert task.due_in_ms is not None
    assert task.due_in_ms > 200_000


@pytest.mark.parametrize("moment", ["2036-01-31T18:00:00+01:00", "2036-01-31 18:00", "2085000000"])
def test_a_task_may_wait_for_a_moment(shell: Shell, moment: str) -> None:
    """ISO with a zone, ISO in the local one, or seconds."""
    task_id = shell.line("enqueue", "echo", "--at", moment)

    assert shell.json("show", task_id)["state"] == "scheduled"


def test_a_unique_key_gives_the_holders_id_and_says_so(shell: Shell) -> None:
    """A retry of a script must not do the work twice, and must still have an id to wait for."""
    first = shell.line("enqueue", "echo", "--unique", "k")
    second = shell("enqueue", "echo", "--unique", "k")

    assert second.stdout.strip() == first
    assert "already there" in second.stderr


def test_wait_prints_the_result(shell: Shell, client: Client) -> None:
    """Text as it is, so that it can be piped on."""
    worker = threading.Thread(target=answer, args=(client, "succeeded", "hi"))
    worker.start()
    result = shell("enqueue", "echo", "text=hi", "--wait", "--wait-timeout", "60s")
    worker.join()

    assert (result.exit_code, result.stdout) == (0, "hi\n")


def test_wait_for_a_failing_task_exits_with_its_error(shell: Shell, client: Client) -> None:
    """A script must see that the work was not done."""
    worker = threading.Thread(target=answer, args=(client, "failed", "no such host"))
    worker.start()
    result = shell("enqueue", "crawl", "--wait", "--max-attempts", "1", "--json")
    worker.join()

    error = json.loads(result.stderr)["error"]
    assert result.exit_code == 1
    assert error["code"] == "task-failed"
    assert "no such host" in error["message"]


def answer(client: Client, kind: str, value: str) -> None:
    """Do the next task that appears."""
    (task,) = wait_until(lambda: client.work.ls(state="ready"))
    end(client, task.id, kind, value)


def test_a_result_cannot_steer_the_terminal(shell: Shell, client: Client) -> None:
    """Results are strangers' text: an escape sequence is shown, not obeyed."""
    handle = client.work.enqueue("echo", {})
    end(client, handle.id, "succeeded", "\x1b[31mred\u202e")

    assert shell("result", handle.id).stdout == "\\x1b[31mred\\u202e\n"
    assert "\x1b" not in shell("result", handle.id, "--json").stdout


def lines(amount: int) -> str:
    """A file of good lines."""
    return "".join(json.dumps({"text": f"n{at}"}) + "\n" for at in range(amount))


def test_a_file_is_enqueued_line_by_line(shell: Shell, client: Client, tmp_path: Path) -> None:
    """1,234 lines: two whole calls of 500, and the rest."""
    (tmp_path / "f.jsonl").write_text(lines(1234))
    done = shell.json("enqueue", "echo", "--file", str(tmp_path / "f.jsonl"), "--queue", "bulk")

    assert done == {"enqueued": 1234, "already_there": 0, "bad": []}
    assert client.work.queue("bulk").ready == 1234


def test_a_file_may_come_by_stdin_and_name_its_own_tasks(shell: Shell, client: Client) -> None:
    """Each line may be another task, with options of its own."""
    told = [
        {"name": "echo", "args": {"text": "a"}},
        {"name": "crawl", "options": {"priority": "low", "delay": "5m", "backoff": "1s,2s"}},
    ]
    result = shell("enqueue", "--file", "-", input="\n\n".join(map(json.dumps, told)))

    assert result.exit_code == 0
    assert "enqueued 2 tasks" in result.stdout
    tasks = {task.name: task for task in client.work.ls()}
    assert tasks["crawl"].state == "scheduled"
    assert tasks["crawl"].priority == "low"


BAD = '{"text": 1}\n{oops\n\n[1]\n"x"\n{"n": NaN}\n{"deep": %s}\n{"ok": 2}\n' % (
    "[" * 200 + "]" * 200
)


def test_a_file_with_a_bad_line_changes_nothing(shell: Shell, stored: Stored) -> None:
    """Half a file is the one thing nobody can mend."""
    before = stored()
    result = shell("enqueue", "echo", "--file", "-", input=BAD)

    assert result.exit_code == 2
    assert [line.split(":")[0] for line in result.stderr.splitlines()[:-1]] == [
        "line 2",
        "line 4",
        "line 5",
        "line 6",
        "line 7",
    ]
    assert "5 of 7 lines are bad; nothing was enqueued" in result.stderr
    assert stored() == before


def test_bad_lines_may_be_left_out(shell: Shell, client: Client) -> None:
    """When most is good and the rest is known."""
    result = shell("enqueue", "echo", "--file", "-", "--skip-bad", input=BAD)

    assert result.exit_code == 0
    assert client.work.queue("default").ready == 2


@pytest.mark.parametrize(
    "line",
    [
        '{"nmae": "echo"}',
        '{"args": {}}',
        '{"name": "a b"}',
        '{"name": "echo", "args": [1]}',
        '{"name": "echo", "options": {"delay": "soon"}}',
        '{"name": "echo", "options": {"qeue": "x"}}',
        '{"name": "echo", "options": {"max_attempts": true}}',
        '{"name": "echo", "options": 3}',
        '{"name": 5}',
        "\x00",
        "\xff\xfe",
    ],
)
def test_a_bad_task_in_a_file_is_named_by_its_line(shell: Shell, stored: Stored, line: str) -> None:
    """Names, options and arguments are checked before the first line is sent."""
    before = stored()
    result = shell("enqueue", "--file", "-", "--json", input=line.encode("latin-1"))

    error = json.loads(result.stderr)["error"]
    assert result.exit_code == 2
    assert [bad["line"] for bad in error["bad"]] == [1]
    assert stored() == before
