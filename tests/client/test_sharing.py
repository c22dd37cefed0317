"""One client, many threads; one client, many processes."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import pytest

import coordq
from coordq import Client
from coordq.errors import InvalidTime
from tests.client.hands import succeed, take_one

pytestmark = pytest.mark.filterwarnings(
    # forking beside threads is what these tests are about
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)


def test_threads_share_a_client(client: Client) -> None:
    """Twenty threads at once: each call has a connection of its own while it lasts."""
    start = threading.Barrier(20)

    def enqueue(thread: int) -> list[str]:
        start.wait(60)
        return [client.work.enqueue("job", {"at": [thread, n]}).id for n in range(50)]

    with ThreadPoolExecutor(20) as threads:
        ids = [task_id for one in threads.map(enqueue, range(20)) for task_id in one]

    assert len(set(ids)) == 1_000
    assert client.work.queue("default").ready == 1_000


def test_an_error_in_one_thread_leaves_the_others_alone(client: Client) -> None:
    """Refused calls and good ones mixed: each gets its own answer."""

    def enqueue(number: int) -> bool:
        try:
            client.work.enqueue("job", delay=-1 if number % 2 else 0)
        except InvalidTime:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(enqueue, range(200)))

    assert taken == [number % 2 == 0 for number in range(200)]
    assert client.work.queue("default").ready == 100


def _forked(client: Client, amount: int) -> None:
    for number in range(amount):
        client.work.enqueue("job", {"pid": os.getpid(), "n": number})


def test_a_client_works_on_both_sides_of_a_fork(client: Client) -> None:
    """Pre-forking servers connect first and fork later: replies must not get mixed up."""
    client.work.enqueue("job")
    context = get_context("fork")
    children = [context.Process(target=_forked, args=(client, 100)) for _ in range(3)]
    for child in children:
        child.start()
    _forked(client, 100)
    for child in children:
        child.join(60)

    assert [child.exitcode for child in children] == [0, 0, 0]
    assert client.work.queue("default").ready == 401


def test_forked_processes_draw_different_ids() -> None:
    """Ids are unguessable and unique, also right after a fork."""
    first = coordq.new_id()
    context = get_context("fork")
    pipe, theirs = context.Pipe()
    child = context.Process(target=lambda: theirs.send([coordq.new_id() for _ in range(1_000)]))
    child.start()
    drawn = pipe.recv()
    child.join(60)

    mine = [coordq.new_id() for _ in range(1_000)]
    assert len({first, *drawn, *mine}) == 2_001


def _wait_in_child(client: Client, task_id: str) -> None:
    os._exit(0 if client.work.result(task_id, timeout=60) == "child" else 1)


def test_parent_and_child_wait_for_their_own_results(client: Client) -> None:
    """The same client object, the same thread number: each side gets its own letter."""
    ours, theirs = client.work.enqueue("job").id, client.work.enqueue("job").id
    context = get_context("fork")
    child = context.Process(target=_wait_in_child, args=(client, theirs))
    child.start()
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(client.work.result, ours, timeout=60)
        succeed(client, take_one(client), "parent")
        succeed(client, take_one(client), "child")
        child.join(60)

        assert waiting.result(60) == "parent"
    assert child.exitcode == 0


def test_closing_twice_is_fine(url: str) -> None:
    """close() after `with` harms nobody."""
    with coordq.connect(url) as client:
        client.work.enqueue("job")
    client.close()


def test_two_clients_of_a_namespace_see_the_same(client: Client, url: str) -> None:
    """Everything is in Redis: a client keeps nothing for itself."""
    handle = client.work.enqueue("job", {"n": 1})
    with coordq.connect(url) as other:
        assert other.work.get(handle.id).args == {"n": 1}


def test_namespaces_do_not_see_each_other(client: Client, redis_url: str) -> None:
    """Tenants of one Redis share nothing but the server."""
    client.work.enqueue("job")
    with coordq.connect(redis_url, namespace="elsewhere-" + client.namespace[-8:]) as other:
        assert other.work.stats().queues == ()
