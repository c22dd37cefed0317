"""The folder workers/ in a real worker on a real Redis: what a user does on the first day."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import coordq
from coordq.errors import TaskCancelled, TaskFailed
from coordq.runtime.loader import builtin_workers
from tests.waiting import wait_until

ROOT = Path(coordq.__path__[0]).resolve().parent
SLEEPER = ["sh", "-c", "echo $$; exec sleep 600"]
"""It speaks at once: also where a Python takes seconds to start, that is before its time is up."""


@pytest.fixture(scope="module")
def client(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[coordq.Client]:
    """A client whose namespace is served by one worker with two children, on all of workers/."""
    namespace = f"t-{os.urandom(6).hex()}"
    folder = tmp_path_factory.mktemp("worker")
    with coordq.connect(redis_url, namespace=namespace) as client:
        command = [sys.executable, "-m", "coordq", "worker", str(builtin_workers())]
        command += ["--url", redis_url, "--namespace", namespace, "--processes", "2"]
        with (folder / "log").open("wb") as log:
            worker = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | {"COORDQ_SHELL_ALLOW": f"echo,sh -c,{sys.executable} -u"},
                stdout=log,
                stderr=log,
            )
        try:
            wait_until(lambda: serving(client) == 2, what="the worker")
            yield client
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(60)


def serving(client: coordq.Client) -> int:
    return sum(
        child["state"] == "serving"
        for worker in client.work.workers()
        for child in worker.info["children"]
    )


def failure(client: coordq.Client, name: str, args: dict[str, Any], **options: Any) -> TaskFailed:
    with pytest.raises(TaskFailed) as caught:
        client.work.run(name, args, wait_for=60, **options)
    return caught.value


def test_echo_answers(client: coordq.Client) -> None:
    """The whole path once: producer, Redis, worker, result."""
    assert client.work.run("echo", {"text": "hi"}, wait_for=60) == "hi"


def test_a_command_runs_and_its_lines_are_in_the_tasks_log(client: coordq.Client) -> None:
    """`coordq logs` shows what a build said, and the result how it ended."""
    handle = client.work.enqueue("shell", {"command": ["echo", "hello there"]})

    done = handle.result(60)

    assert (done["exit_code"], done["tail"]) == (0, "hello there")
    assert any("hello there" in line for line in client.work.logs(handle.id))


def test_a_command_that_is_not_allowed_is_a_dead_letter(client: coordq.Client) -> None:
    """With the list in the reason, so that the producer sees what would be."""
    error = failure(client, "shell", {"command": ["rm", "-rf", "/tmp/x"]})

    assert error.reason.startswith("rejected")
    assert "'rm' is not allowed here: allowed is echo" in str(error)


def test_a_command_that_fails_is_not_repeated_by_itself(client: coordq.Client) -> None:
    """Only the producer knows whether running it twice does harm."""
    error = failure(client, "shell", {"command": [sys.executable, "-u", "-c", "exit(7)"]})

    assert "exit code 7" in str(error)
    assert client.work.get(error.id).attempt == 1


@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_a_command_ends_with_its_task(client: coordq.Client, how: str) -> None:
    """Cancelled or out of time: the process is gone, not merely forgotten."""
    options: dict[str, Any] = {"timeout": 5} if how == "timeout" else {}
    handle = client.work.enqueue("shell", {"command": SLEEPER}, **options)
    wait_until(lambda: client.work.logs(handle.id), what="the command to have started")
    pid = next(int(word) for word in client.work.logs(handle.id)[0].split() if word.isdigit())

    if how == "cancel":
        handle.cancel()
    with pytest.raises((TaskCancelled, TaskFailed)):
        handle.result(60)

    wait_until(lambda: not is_alive(pid), what="the command to be gone")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_files_become_a_report(client: coordq.Client, tmp_path: Path) -> None:
    """Map and reduce: a task per file, then one over their results; what failed is counted."""
    for number in range(5):
        (tmp_path / f"m{number}.py").write_text("import os\n\ndef f(a):\n    return a or 1\n")
    (tmp_path / "m5.py").write_text("def f(:\n")
    orders = [("audit_file", {"path": str(file)}) for file in sorted(tmp_path.glob("*.py"))]

    handles = client.work.enqueue_many(orders)
    figures = [handle.result(60) for handle in handles[:5]]
    with pytest.raises(TaskFailed, match=r"m5\.py:1 does not parse"):
        handles[5].result(60)
    tally = client.work.run("audit_tally", {"figures": [*figures, None]}, wait_for=60)
    report = client.work.run("audit_report", {"tallies": [tally, tally]}, wait_for=60)

    assert {one["complexity_sum"] for one in figures} == {2}
    assert (tally["files"], tally["missing"], tally["functions"]) == (5, 1, 5)
    assert (report["files"], report["imports"]) == (10, {"os": 10})


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_page_is_fetched_or_the_task_says_what_is_missing(client: coordq.Client) -> None:
    """With httpx the page; without it a dead letter that names the extra. Both are promised."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hello) as site:
        thread = Thread(target=site.serve_forever, args=(0.01,))
        thread.start()
        handle = client.work.enqueue("fetch", {"url": f"http://127.0.0.1:{site.server_address[1]}"})
        try:
            page = handle.result(60)
        except TaskFailed as error:
            page = {"text": "hello"} if "pip install 'coordq[http]'" in str(error) else {}
        site.shutdown()
        thread.join()

    assert page["text"] == "hello"
