"""The command line, run in this process against the shared server, and tasks in every state."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

import coordq
from coordq.client.client import Client
from coordq.interfaces.cli.root import cli
from coordq.work.finish import Outcome, finish
from tests.servers import Server


class Shell:
    """Runs `coordq` with the test's Redis and namespace in its environment."""

    def __init__(self, url: str, namespace: str) -> None:
        self.environment = {"COORDQ_URL": url, "COORDQ_NAMESPACE": namespace, "COLUMNS": "100"}

    def __call__(self, *words: str, input: str | bytes | None = None, **environment: str) -> Result:  # noqa: A002
        runner = CliRunner(env={**self.environment, **environment})
        return runner.invoke(cli, list(words), input=input)

    def json(self, *words: str) -> Any:
        """What `coordq ... --json` prints, which must be one document."""
        result = self(*words, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    def line(self, *words: str) -> str:
        """The one line that `coordq ...` prints."""
        result = self(*words)
        assert result.exit_code == 0, result.stderr
        (line,) = result.stdout.splitlines()
        return line


@pytest.fixture
def shell(redis_url: str, namespace: str) -> Shell:
    """`shell("ls", "--json")`: the result of a command."""
    return Shell(redis_url, namespace)


@pytest.fixture
def client(redis_url: str, namespace: str) -> Iterator[Client]:
    """A client beside the command line, to see what it did."""
    with coordq.connect(redis_url, namespace=namespace) as client:
        yield client


@pytest.fixture
def stored(
    redis_server: Server, namespace: str, client: Client
) -> Callable[[], dict[bytes, bytes]]:
    """Everything the namespace holds, byte for byte: to see that nothing was changed."""
    assert client.namespace == namespace  # it has connected: from now on a look changes nothing

    def read() -> dict[bytes, bytes]:
        keys = sorted(redis_server.ask("KEYS", f"cq:{{{namespace}.*"))
        return {key: redis_server.ask("DUMP", key) for key in keys}

    return read


def end(client: Client, task_id: str, kind: str, value: Any = None) -> None:
    """Run a ready task to its end: "succeeded" with a result, "failed" with an error's message."""
    claim = client.work.claim_one(task_id, claimant="hand")
    body = json.dumps(value if kind == "succeeded" else failure(str(value))).encode()
    call = finish(0, [Outcome(kind, task_id, claim.fence, body)])
    assert client.engine.run(call).verdicts == ("ok",)


def failure(message: str) -> dict[str, str]:
    """An error as workers write it."""
    return {
        "type": "ValueError",
        "message": message,
        "traceback": "Traceback ...\n  line 1",
        "reason": "error",
    }


@pytest.fixture
def dead_letter(client: Client) -> Callable[..., str]:
    """Makes a dead letter and gives its id."""

    def make(name: str = "crawl", **options: Any) -> str:
        task_id = client.work.enqueue(name, {"url": "x"}, max_attempts=1, **options).id
        end(client, task_id, "failed", "no such host")
        return task_id

    return make
