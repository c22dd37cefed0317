"""A worker process does its work on every engine, also where a namespace is spread over shards."""

from __future__ import annotations

import signal
from pathlib import Path

from coordq import connect
from tests.runtime.fleet import Fleet
from tests.waiting import wait_until

TASKS = 1000


def test_a_worker_does_it_all_though_a_child_is_killed(
    real_engine_url: str, namespace: str, tmp_path: Path
) -> None:
    """Bulk, claims, commits and a child's death, over the real connections of each engine."""
    with (
        connect(real_engine_url, namespace=namespace) as client,
        Fleet(tmp_path, real_engine_url, namespace, processes=2, concurrency=20) as fleet,
    ):
        client.work.enqueue_many([("echo", {"text": "x"})] * TASKS)
        wait_until(lambda: client.work.queue("default").succeeded > TASKS // 10, what="a start")

        fleet.signal(signal.SIGKILL, pid=fleet.children()[0])

        wait_until(lambda: client.work.queue("default").succeeded == TASKS, within=200, what="done")
        assert client.work.run("echo", {"text": "hi"}, wait_for=60) == "hi"
        assert client.work.queue("default").backlog == 0
