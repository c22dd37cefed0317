"""Looking from a shell: for people on a terminal, plain for pipes, JSON for programs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from coordq.client.client import Client
from coordq.engine import keys
from coordq.interfaces.cli.look import fresh
from coordq.interfaces.live import sparkline
from coordq.interfaces.show import QUEUE_COLUMNS, TASK_COLUMNS, WORKER_COLUMNS, worker_rows
from coordq.interfaces.table import fitting
from coordq.interfaces.words import printable, size, span, to_json
from coordq.work.beat import Pulse, beat
from coordq.work.finish import Outcome, finish
from coordq.work.queue import WorkerView
from coordq.work.report import report
from tests.interfaces.conftest import Shell, end
from tests.waiting import wait_until


def test_ls_is_a_table_of_tabs_in_a_pipe(shell: Shell, client: Client) -> None:
    """`coordq ls | cut -f1` gives ids."""
    handle = client.work.enqueue("echo", {"text": "hi"}, priority="high")
    title, row = shell("ls").stdout.splitlines()

    assert title.split("\t")[:3] == ["id", "state", "name"]
    assert row.split("\t")[:5] == [handle.id, "ready", "echo", "default", "high"]


def test_ls_filters(shell: Shell, client: Client, dead_letter: Callable[..., str]) -> None:
    """By state, queue, name, age and amount."""
    client.work.enqueue("echo", {})
    client.work.enqueue("echo", {}, queue="mail")
    client.work.enqueue("echo", {}, delay=60)
    dead = dead_letter()

    def found(*words: str) -> int:
        return len(shell.json("ls", *words))

    assert found() == 4
    assert (
        found("--state", "scheduled") == found("--queue", "mail") == found("--name", "crawl") == 1
    )
    assert found("--limit", "2") == 2
    assert found("--older-than", "1h") == 0
    assert found("--older-than", "0s") == 4
    assert [task["id"] for task in shell.json("ls", "--state", "failed")] == [dead]


def test_show_tells_all(shell: Shell, dead_letter: Callable[..., str]) -> None:
    """Arguments, error and traceback are what one opens a task for."""
    shown = shell("show", dead_letter()).stdout

    assert "state\tfailed" in shown
    assert '"url": "x"' in shown
    assert "error: ValueError: no such host" in shown
    assert "Traceback ..." in shown


def test_show_as_json_is_the_task(shell: Shell, client: Client) -> None:
    """The same facts as `Task.to_json`, so that programs need one description."""
    handle = client.work.enqueue("echo", {"text": "hi"})
    end(client, handle.id, "succeeded", {"a": 1})

    shown = shell.json("show", handle.id)
    assert (shown["state"], shown["result"]) == ("succeeded", {"a": 1})
    assert shown.keys() == client.work.get(handle.id).to_json().keys()


def test_result_waits_and_prints(shell: Shell, client: Client) -> None:
    """For scripts that enqueue now and fetch later."""
    handle = client.work.enqueue("echo", {})
    assert shell("result", handle.id, "--timeout", "100ms").exit_code == 1

    end(client, handle.id, "succeeded", [1, {"b": None}])
    assert json.loads(shell("result", handle.id).stdout) == [1, {"b": None}]


def test_why_is_one_sentence(shell: Shell, client: Client) -> None:
    """The question that no other queue answers."""
    handle = client.work.enqueue("echo", {})

    assert shell.line("why", handle.id) == "No worker is alive. Start one with `coordq worker`."
    assert shell.json("why", handle.id)["why"].startswith("No worker")


def test_logs_are_printed_line_by_line(shell: Shell, client: Client) -> None:
    """What the handler said, with nothing in it that a terminal would obey."""
    handle = client.work.enqueue("echo", {})
    claim = client.work.claim_one(handle.id, claimant="hand")
    client.engine.run(report(claim.member, lines=["one", "\x1b]0;evil\x07two"]))

    assert shell("logs", handle.id).stdout == "one\n\\x1b]0;evil\\x07two\n"
    assert json.loads(shell("logs", handle.id, "--json").stdout.splitlines()[0]) == {"line": "one"}


def test_logs_follow_until_the_end(shell: Shell, client: Client) -> None:
    """-f ends by itself: it can stand in a script."""
    handle = client.work.enqueue("echo", {})
    claim = client.work.claim_one(handle.id, claimant="hand")
    client.engine.run(report(claim.member, lines=["first"]))
    command = [sys.executable, "-u", "-m", "coordq", "logs", handle.id, "-f"]
    environment = {**shell.environment, "PYTHONUNBUFFERED": "1"}

    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == "first\n"
        client.engine.run(report(claim.member, lines=["second"]))
        assert follower.stdout.readline() == "second\n"
        client.engine.run(finish(0, [Outcome("succeeded", claim.id, claim.fence, b"1")]))
        assert follower.wait(60) == 0


def test_a_log_that_forgets_its_first_lines_is_still_followed() -> None:
    """Only the last 1,000 lines are kept, so the list shifts under the reader."""
    assert fresh(["a", "b"], ["a", "b", "c"]) == ["c"]
    assert fresh(["a", "b", "c"], ["b", "c", "d", "e"]) == ["d", "e"]
    assert fresh(["a"], ["x", "y"]) == ["x", "y"]
    assert fresh([], ["x"]) == ["x"]
    assert fresh(["a"], ["a"]) == []


def test_stats_and_queues(shell: Shell, client: Client, dead_letter: Callable[..., str]) -> None:
    """Totals, and one row a queue."""
    client.work.enqueue("echo", {}, queue="mail")
    dead_letter()

    shown = dict(line.split("\t") for line in shell("stats").stdout.splitlines())
    assert (shown["ready"], shown["dead letters"], shown["enqueued"]) == ("1", "1", "2")
    assert [queue["name"] for queue in shell.json("queue", "ls")] == ["default", "mail"]
    assert shell.json("queue", "show", "mail")["ready"] == 1
    assert shell.json("stats")["dead"] == 1


def test_top_prints_once_when_nobody_watches(shell: Shell, client: Client) -> None:
    """In a pipe or a cron job it is a snapshot."""
    client.work.enqueue("echo", {})
    result = shell("top")

    assert result.exit_code == 0
    nobody, overview, *_ = result.stdout.splitlines()
    assert nobody.startswith("no supervisor runs")
    assert overview.startswith("1 ready, 0 scheduled")
    assert shell.json("top")["queues"][0]["ready"] == 1
    assert shell.json("top")["fleet"]["leader"] is None


def test_events_are_filtered(shell: Shell, client: Client, dead_letter: Callable[..., str]) -> None:
    """By kind, queue, name, id and amount."""
    client.work.enqueue("echo", {}, queue="mail")
    dead = dead_letter()

    def found(*words: str) -> list[str]:
        lines = shell("events", "--json", *words).stdout.splitlines()
        return [json.loads(line)["event"] for line in lines]

    assert found() == ["ready", "ready", "running", "failed"]
    assert found("--id", dead) == ["ready", "running", "failed"]
    assert found("--kind", "failed", "--kind", "running") == ["running", "failed"]
    assert found("--queue", "mail") == found("--name", "echo") == ["ready"]
    assert found("-n", "1") == ["failed"]
    assert found("--since", "1h") == found()
    assert found("-n", "0") == []


def test_events_follow(shell: Shell, client: Client) -> None:
    """What comes after the last line printed is neither lost nor printed twice."""
    first = client.work.enqueue("echo", {}).id
    command = [sys.executable, "-u", "-m", "coordq", "events", "-f", "--json"]

    with subprocess.Popen(
        command, env=shell.environment, stdout=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout is not None
        assert json.loads(follower.stdout.readline())["id"] == first
        more = [client.work.enqueue("echo", {}).id for _ in range(3)]
        assert [json.loads(follower.stdout.readline())["id"] for _ in more] == more
        follower.terminate()


def test_events_of_a_cluster_come_in_order_of_time(cluster_url: str, namespace: str) -> None:
    """Shards have streams of their own; a person reads one."""
    shell = Shell(f"{cluster_url}?shards=4", namespace)
    ids = [shell.line("enqueue", "echo", f"n={at}") for at in range(8)]
    command = [sys.executable, "-u", "-m", "coordq", "events", "-f", "--json"]

    with subprocess.Popen(
        command, env=shell.environment, stdout=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout is not None
        assert [json.loads(follower.stdout.readline())["id"] for _ in ids] == ids
        late = {shell.line("enqueue", "echo", f"n={at}") for at in range(8)}
        assert {json.loads(follower.stdout.readline())["id"] for _ in late} == late
        follower.terminate()


@pytest.fixture
def cluster_url(cluster: object) -> str:
    """The address of the shared Cluster."""
    return str(cluster.url)  # type: ignore[attr-defined]


def test_workers_are_listed_and_told(shell: Shell, client: Client) -> None:
    """drain, stop and dump end up where the worker listens."""
    info = {"state": "running", "running": 2, "concurrency": 8, "queues": ["default"], "agents": []}
    client.engine.run(beat(0, Pulse("web-1", info=json.dumps(info).encode())))

    assert shell.json("workers")[0]["name"] == "web-1"
    assert shell("workers", "ls").stdout.splitlines()[1].startswith("web-1\trunning\thealthy\t2\t8")
    assert shell("workers", "drain", "web-1").exit_code == 0
    assert shell("workers", "stop", "web-1", "--yes").exit_code == 0
    inbox = keys.inbox(keys.root(client.namespace, 0), "web-1")
    orders = client.engine.execute(0, "LRANGE", inbox, 0, -1)
    assert [json.loads(order) for order in orders] == [{"do": "drain"}, {"do": "stop"}]


def test_a_worker_may_say_anything_of_itself() -> None:
    """Info comes from other versions and other languages: no shape of it breaks the list."""
    for info in ({}, {"queues": "x", "agents": 3, "running": None}, {"agents": ["a", {"x": 1}]}):
        assert len(worker_rows([WorkerView("w", 1, info)])[0]) == len(WORKER_COLUMNS)


def test_a_broken_pipe_is_quiet(shell: Shell, client: Client) -> None:
    """`coordq ls | head -1` is no error."""
    client.work.enqueue_many([("echo", {"n": at}) for at in range(3000)])
    command = f"{sys.executable} -m coordq ls --limit 3000 | head -1"
    environment = {**shell.environment, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["sh", "-c", command], env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_options_may_stand_before_or_after_the_command(redis_url: str, namespace: str) -> None:
    """Nobody remembers which; the inner one wins."""
    shell = Shell("redis://127.0.0.1:1", "other")
    shell("enqueue", "echo", "--url", redis_url, "--namespace", namespace)

    assert len(shell.json("--url", redis_url, "ls", "--namespace", namespace)) == 1
    assert (
        len(shell.json("--namespace", "x", "ls", "--namespace", namespace, "--url", redis_url)) == 1
    )


def test_a_namespace_in_the_url_beats_the_variable(redis_url: str, namespace: str) -> None:
    """As it does for `coordq.connect`."""
    shell = Shell(f"{redis_url}?ns={namespace}", "other")

    assert shell.json("stats")["namespace"] == namespace


@pytest.mark.parametrize("columns", [TASK_COLUMNS, QUEUE_COLUMNS, WORKER_COLUMNS])
def test_a_narrow_terminal_loses_the_least_important_first(columns: object) -> None:
    """Ids and states stay whole on forty characters."""
    kept = fitting(columns, [10] * len(columns), 40)  # type: ignore[arg-type]

    assert {0, 1} <= set(kept)
    assert len(kept) <= 4


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0ms"),
        (999, "999ms"),
        (12_300, "12.3s"),
        (312_000, "5m12s"),
        (11_100_000, "3h05m"),
        (352_800_000, "4d02h"),
        (-5, "-5ms"),
    ],
)
def test_times_are_said_in_two_units_at_most(ms: int, text: str) -> None:
    """A column of them must be read at a glance."""
    assert span(ms) == text


def test_sizes_have_units() -> None:
    """Powers of 1024, and said so."""
    assert [size(n) for n in (0, 1023, 1536, 5 * 2**30)] == ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]


def test_control_characters_are_spelled_out() -> None:
    """Also the ones of one byte that some terminals obey, and those that turn text around."""
    assert printable("a\x1b\x9b\r\u202eb é 😀\u00a0") == "a\\x1b\\x9b\\r\\u202eb é 😀\u00a0"
    assert printable("a\nb", keep="\n") == "a\nb"
    assert json.loads(to_json("\x9b\u202e\ud800")) == "\x9b\u202e\ud800"
    assert printable(to_json("\x9b\u202e")) == to_json("\x9b\u202e")


def test_a_sparkline_is_as_high_as_its_numbers() -> None:
    """Zero is empty, the top is full, and the least activity is seen."""
    assert sparkline([0, 0.01, 4, 8]) == " ▁▄█"
    assert sparkline([0, 0]) == "  "


def test_an_unfinished_wait_is_not_an_error_of_the_task(shell: Shell, client: Client) -> None:
    """The message says that the task goes on, and the task does."""
    result = shell("enqueue", "echo", "--wait-timeout", "50ms")

    assert result.exit_code == 1
    assert "it goes on" in result.stderr
    assert wait_until(lambda: client.work.ls(state="ready"))
