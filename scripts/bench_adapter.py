"""coordq in the side-by-side benchmark of task queues: copy this file there as adapters/coordq.py.

It is imported in the producer and in every worker; the harness's own modules are at hand there.
"""

# ruff: noqa: D103, ANN001, ANN201, ANN202, ARG001 - the shape is the harness's
# mypy: ignore-errors

VENV = "coordq"
PACKAGES = ["coordq", "redis", "hiredis", "uvloop"]
ASYNC = False
ENQUEUE_API = "client.work.enqueue"
PROFILES = {
    "default": {
        "ack": "late",
        "results": True,
        "note": "fenced, events on, result_ttl 10 min (library default), --concurrency 100",
        "use": ["throughput", "two", "latency", "memory"],
        "fault": "default",
    },
}
HELD = {"ready": ["LLEN", "cq:{main.0}:line:default:2noop"], "dead": ["ZCARD", "cq:{main.0}:dead"]}

import benchtask  # noqa: E402
from adapters._env import URL, chunks, tool  # noqa: E402

import coordq  # noqa: E402

agent = coordq.Agent("bench")


@agent.task
async def noop(i: int, payload: str | None = None) -> int:
    return benchtask.noop(i)


@agent.task
async def work(i: int, payload: str | None = None) -> int:
    return benchtask.work(i)


client = None


def init():
    global client  # noqa: PLW0603 - the harness keeps no state for us
    client = coordq.connect(URL)


prepare = init


def _args(i, payload):
    return {"i": i} if payload is None else {"i": i, "payload": payload}


def enqueue_one(start, n, payload, task):
    for i in range(start, start + n):
        client.work.enqueue(task, _args(i, payload))


def enqueue_many(start, n, payload, task):
    for chunk in chunks(start, n):
        client.work.enqueue_many([(task, _args(i, payload)) for i in chunk])


BULK = {"client.work.enqueue_many(500)": enqueue_many}


def worker():
    command = [tool("coordq"), "worker", "adapters/coordq.py", "--url", URL]
    return [*command, "--concurrency", "100", "--log-level", "warning"], {}


def roundtrip(i):
    return client.work.run("noop", {"i": i}, wait_for=10)
