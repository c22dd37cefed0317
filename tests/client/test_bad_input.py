"""What bad input gets: an error with a stable code, and not a trace in Redis.

One table, tried on both doors. Each row says what is wrong, which code it gets, and words that the
message must hold so that a reader knows what to change. Around every row all keys of the namespace
are dumped: nothing may have changed.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

import coordq
from coordq import CoordqError
from tests.client.conftest import World

ID = "0123456789abcdefghijkl"  # looks like a task of shard 363, which nobody made
HALF = "\ud800"  # half a surrogate pair: text in Python, not in Unicode
NAIVE = datetime(2030, 1, 1)  # noqa: DTZ001 - the naive datetime under test


def deep(levels: int) -> Any:
    """A list in a list in a list..."""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


def loop() -> dict[str, Any]:
    """A dictionary that holds itself."""
    value: dict[str, Any] = {}
    value["self"] = value
    return value


class Bad(NamedTuple):
    """One row."""

    title: str
    code: str
    words: str
    call: Callable[[Any, World], Any]


def name(title: str, given: Any) -> Bad:
    """A task name that is refused."""
    return Bad(f"name: {title}", "invalid-name", "task name", lambda w, _: w.enqueue(given))


def args(title: str, given: Any, words: str, code: str = "invalid-arguments") -> Bad:
    """Arguments that are refused."""
    return Bad(f"args: {title}", code, words, lambda w, _: w.enqueue("job", given))


def option(title: str, code: str, words: str, **options: Any) -> Bad:
    """Options that are refused."""
    return Bad(f"option: {title}", code, words, lambda w, _: w.enqueue("job", {}, **options))


def call(title: str, code: str, words: str, do: Callable[[Any, World], Any]) -> Bad:
    """Any other call."""
    return Bad(title, code, words, do)


ABILITIES = {f"c{number}" for number in range(33)}

NAMES = [
    name("empty", ""),
    name("space", "send mail"),
    name("line feed", "job\n"),
    name("carriage return", "a\rb"),
    name("NUL byte", "a\0b"),
    name("slash", "a/b"),
    name("leading dot", ".job"),
    name("leading hyphen, like a flag", "-job"),
    name("at sign, which marks a requirement", "job@reader"),
    name("brace, which marks a cluster slot", "job{1}"),
    name("letters of another script", "zusammenfassen-日本"),
    name("half a surrogate pair", f"job{HALF}"),
    name("too long", "x" * 101),
    name("bytes", b"job"),
    name("none", None),
    name("number", 7),
    name("list", ["job"]),
]

ARGUMENTS = [
    args("list", [1, 2], "not a mapping"),
    args("text", "url=x", "not a mapping"),
    args("number", 5, "not a mapping"),
    args("key that is no text", {1: "x"}, "not text"),
    args("inner key that is no text", {"x": {2: "y"}}, "which is not text"),
    args("NaN", {"x": math.nan}, "not JSON"),
    args("infinity", {"x": [math.inf]}, "x[0] is inf"),
    args("object", {"x": object()}, "which is not JSON"),
    args("bytes", {"x": b"raw"}, "which is not JSON"),
    args("set", {"x": {1, 2}}, "which is not JSON"),
    args("datetime", {"x": datetime.now(UTC)}, "which is not JSON"),
    args("decimal", {"x": Decimal("1.5")}, "which is not JSON"),
    args("function", {"x": {"y": len}}, "x.y is builtin"),
    args("complex number", {"x": 1j}, "which is not JSON"),
    args("half a surrogate pair", {"x": f"a{HALF}"}, "surrogate"),
    args("half a surrogate pair as key", {HALF: 1}, "surrogate"),
    args("nested 101 deep", {"x": deep(101)}, "nested more than 100"),
    args("nested 100,000 deep", {"x": deep(100_000)}, "nested more than 100"),
    args("an integer of 5,000 digits", {"x": [10**5000]}, "4,300 digits"),
    args("a circle", loop(), "nested more than 100"),
    args("two megabytes", {"x": "y" * 2_000_000}, "1,048,576 are allowed", "payload-too-large"),
]

OPTIONS = [
    option("unknown", "invalid-option", "There is no option 'colour'", colour="red"),
    option("misspelt", "invalid-option", "did you mean 'priority'", prority="high"),
    option("queue name", "invalid-name", "queue name", queue="my queue"),
    option("queue of none", "invalid-name", "queue name", queue=None),
    option("priority", "invalid-option", "critical, high, normal, low", priority="urgent"),
    option("priority as number", "invalid-option", "priority=1", priority=1),
    option("delay in the past", "invalid-time", "must not be negative", delay=-1),
    option("delay of NaN", "invalid-time", "delay=nan", delay=math.nan),
    option("delay without end", "invalid-time", "ten years", delay=math.inf),
    option("delay in milliseconds", "invalid-time", "the unit is seconds", delay=1_700_000_000),
    option("delay as text", "invalid-time", "seconds or a timedelta", delay="5m"),
    option("delay as truth value", "invalid-time", "not bool", delay=True),
    option("negative timedelta", "invalid-time", "negative", delay=timedelta(days=-1)),
    option("moment without a zone", "invalid-time", "has no time zone", at=NAIVE),
    option("moment in milliseconds", "invalid-time", "since 1970", at=1_700_000_000_000),
    option("moment before 1970", "invalid-time", "since 1970", at=-5),
    option("moment as text", "invalid-time", "since 1970", at="tomorrow"),
    option("moment in the year 9999", "invalid-time", "1970", at=datetime.max.replace(tzinfo=UTC)),
    option("delay and moment", "invalid-option", "twice", delay=1, at=1_900_000_000),
    option("negative timeout", "invalid-time", "timeout=-0.1", timeout=-0.1),
    option("negative expiry", "invalid-time", "expires=-1", expires=-1),
    option("absurd total time", "invalid-time", "ten years", total_timeout=1e12),
    option("result kept as text", "invalid-time", "result_ttl", result_ttl="1h"),
    option("no attempt", "invalid-option", "from 1 to 10000", max_attempts=0),
    option("half an attempt", "invalid-option", "whole number", max_attempts=1.5),
    option("attempts as truth value", "invalid-option", "max_attempts=True", max_attempts=True),
    option("too many attempts", "invalid-option", "from 1 to 10000", max_attempts=10**9),
    option("backoff as number", "invalid-option", "coordq.Backoff", backoff=5),
    option("empty unique key", "invalid-option", "not empty", unique=""),
    option("unique key as number", "invalid-option", "unique=5", unique=5),
    option("unique time without key", "invalid-option", "needs unique", unique_for=5),
    option("held unique key", "duplicate-task", "holds", unique="taken", on_duplicate="reject"),
    option("on_duplicate", "invalid-option", "return, reject", on_duplicate="ignore"),
    option("on_full", "invalid-option", "wait, refuse, shed, force", on_full="drop"),
    option("a full queue", "queue-full", "1 of 1 tasks", queue="full", on_full="refuse"),
    option("negative wait", "invalid-time", "wait=-1", wait=-1),
    option("role", "invalid-name", "role name", role="a b"),
    option("role of none", "invalid-name", "role name", role=None),
    option("too many capabilities", "invalid-option", "at most 32", capabilities=ABILITIES),
    option("delay of 400 digits", "invalid-time", "ten years", delay=10**400),
    option("header with half a pair", "invalid-option", "surrogate", headers={"a": HALF}),
    option("capabilities as text", "invalid-option", "collection", capabilities="http"),
    option("capability", "invalid-name", "capability name", capabilities=["a+b"]),
    option("capability as number", "invalid-name", "capability name", capabilities=[1]),
    option("id of another kind", "invalid-option", "coordq.new_id", id="42"),
    option("id as number", "invalid-option", "coordq.new_id", id=42),
    option(
        "id of a shard there is not", "invalid-option", "there are 1", id=coordq.new_id(shard=9)
    ),
    option("headers as list", "invalid-option", "mapping of text", headers=[("a", "b")]),
    option("header value as number", "invalid-option", "text to text", headers={"a": 1}),
    option("endless headers", "invalid-option", "4096", headers={"a": "x" * 5_000}),
]

BULK = [
    call("bulk: no collection", "invalid-arguments", "collection", lambda w, _: w.enqueue_many(5)),
    call("bulk: none", "invalid-arguments", "collection", lambda w, _: w.enqueue_many(None)),
    call(
        "bulk: names only",
        "invalid-arguments",
        "(name, args)",
        lambda w, _: w.enqueue_many(["job"]),
    ),
    call(
        "bulk: options that are no mapping",
        "invalid-arguments",
        "(name, args, options)",
        lambda w, _: w.enqueue_many([("job", {}, 5)]),
    ),
    call(
        "bulk: option that is no text",
        "invalid-option",
        "There is no option 1",
        lambda w, _: w.enqueue_many([("job", {}, {1: 2})]),
    ),
    call(
        "bulk: the last of 600 is bad",
        "invalid-time",
        "delay",
        lambda w, _: w.enqueue_many([*[("job", {})] * 599, ("job", {}, {"delay": -1})]),
    ),
]

WAITING = [
    call("run: negative wait", "invalid-time", "wait_for", lambda w, _: w.run("job", wait_for=-1)),
    call("run: wait as text", "invalid-time", "wait_for", lambda w, _: w.run("job", wait_for="1")),
    call("run: huge wait", "invalid-time", "wait_for", lambda w, _: w.run("job", wait_for=60**400)),
    call(
        "result: negative wait",
        "invalid-time",
        "timeout",
        lambda w, at: w.result(at.ready, timeout=-1),
    ),
    call(
        "result: NaN", "invalid-time", "timeout", lambda w, at: w.result(at.ready, timeout=math.nan)
    ),
    call("result: no such task", "task-not-found", ID, lambda w, _: w.result(ID)),
]

LOOKING = [
    call("get: no id", "task-not-found", "22 characters", lambda w, _: w.get("42")),
    call("get: none", "task-not-found", "22 characters", lambda w, _: w.get(None)),
    call("get: id with a line feed", "task-not-found", "22", lambda w, _: w.get(ID + "\n")),
    call("get: no such task", "task-not-found", ID, lambda w, _: w.get(ID)),
    call("why: no such task", "task-not-found", ID, lambda w, _: w.why(ID)),
    call("logs: no id", "task-not-found", "22 characters", lambda w, _: w.logs("../etc")),
    call("ls: state", "invalid-option", "scheduled", lambda w, _: w.ls(state="pending")),
    call("ls: state as number", "invalid-option", "state=3", lambda w, _: w.ls(state=3)),
    call("ls: state of a flow", "invalid-option", "building", lambda w, _: w.ls(state="building")),
    call("ls: negative limit", "invalid-option", "limit=-1", lambda w, _: w.ls(limit=-1)),
    call("ls: limit as text", "invalid-option", "limit='9'", lambda w, _: w.ls(limit="9")),
    call("ls: queue", "invalid-name", "queue name", lambda w, _: w.ls(queue="my queue")),
    call("ls: queue of none", "invalid-name", "queue name", lambda w, _: w.ls(queue=None)),
    call("ls: name", "invalid-name", "task name", lambda w, _: w.ls(name="a b")),
    call("dead: limit", "invalid-option", "limit", lambda w, _: w.dead(limit=1.5)),
    call("queue: unknown", "queue-not-found", "there are: default", lambda w, _: w.queue("nope")),
    call("queue: none", "queue-not-found", "None", lambda w, _: w.queue(None)),
    call("events: place", "invalid-option", "no place", lambda w, _: w.events(after="yesterday")),
    call("events: negative place", "invalid-option", "no place", lambda w, _: w.events(after=-1)),
]

CHANGING = [
    call("cancel: no id", "task-not-found", "22 characters", lambda w, _: w.cancel("x")),
    call("cancel: no such task", "task-not-found", ID, lambda w, _: w.cancel(ID)),
    call(
        "cancel: reason of none",
        "invalid-option",
        "reason",
        lambda w, at: w.cancel(at.ready, reason=None),
    ),
    call(
        "cancel: reason with half a pair",
        "invalid-arguments",
        "surrogate",
        lambda w, at: w.cancel(at.ready, reason=HALF),
    ),
    call("retry: no such task", "task-not-found", ID, lambda w, _: w.retry(ID)),
    call("retry: a ready task", "conflict", "is ready", lambda w, at: w.retry(at.ready)),
    call("retry: a running task", "conflict", "is running", lambda w, at: w.retry(at.running)),
    call(
        "claim: a running task",
        "conflict",
        "is running",
        lambda w, at: w.claim_one(at.running, claimant="me"),
    ),
    call(
        "claim: an old version",
        "conflict",
        "at version 1 now",
        lambda w, at: w.claim_one(at.ready, version=7, claimant="me"),
    ),
    call(
        "claim: version as text",
        "invalid-option",
        "version",
        lambda w, at: w.claim_one(at.ready, version="1", claimant="me"),
    ),
    call(
        "claim: claimant with a space",
        "invalid-name",
        "claimant name",
        lambda w, at: w.claim_one(at.ready, claimant="you and me"),
    ),
    call(
        "claim: nobody",
        "invalid-name",
        "claimant name",
        lambda w, at: w.claim_one(at.ready, claimant=""),
    ),
    call("claim: no such task", "task-not-found", ID, lambda w, _: w.claim_one(ID, claimant="me")),
    call("limit: negative", "invalid-option", "high=-1", lambda w, _: w.limit("q", high=-1)),
    call("limit: truth value", "invalid-option", "high=True", lambda w, _: w.limit("q", high=True)),
    call("limit: half", "invalid-option", "high=1.5", lambda w, _: w.limit("q", high=1.5)),
    call(
        "limit: low above high", "invalid-option", "above", lambda w, _: w.limit("q", high=1, low=2)
    ),
    call(
        "limit: absurd", "invalid-option", "max_bytes", lambda w, _: w.limit("q", max_bytes=2**60)
    ),
    call("limit: queue name", "invalid-name", "queue name", lambda w, _: w.limit("a b", high=1)),
    call("pause: queue name", "invalid-name", "queue name", lambda w, _: w.pause("")),
    call("purge: unknown queue", "queue-not-found", "nope", lambda w, _: w.purge("nope")),
    call("revive: no id", "task-not-found", "22 characters", lambda w, _: w.revive("x")),
    call("revive: queue", "invalid-name", "queue name", lambda w, _: w.revive(queue="a b")),
    call(
        "purge_dead: negative age",
        "invalid-time",
        "older_than",
        lambda w, _: w.purge_dead(older_than=-1),
    ),
    call("revive: nothing said", "invalid-option", "Which dead", lambda w, _: w.revive()),
    call("purge_dead: empty list", "invalid-option", "Which dead", lambda w, _: w.purge_dead(*[])),
    call("purge_dead: no id", "task-not-found", "22", lambda w, at: w.purge_dead(at.dead, "x")),
    call(
        "tell: no such worker",
        "worker-not-found",
        "ghost",
        lambda w, _: w.tell_worker("ghost", "stop"),
    ),
    call("tell: order", "invalid-option", "dance", lambda w, _: w.tell_worker("ghost", "dance")),
]

TABLE = [*NAMES, *ARGUMENTS, *OPTIONS, *BULK, *WAITING, *LOOKING, *CHANGING]
every_row = pytest.mark.parametrize("row", TABLE, ids=[row.title for row in TABLE])


def check(row: Bad, error: CoordqError) -> None:
    """The code is exact, the message says what to change."""
    assert error.code == row.code
    assert row.words in str(error)


@every_row
def test_sync(world: World, row: Bad) -> None:
    """The sync client refuses it, and Redis is as it was."""
    before = world.dump()

    with pytest.raises(CoordqError) as caught:
        row.call(world.client.work, world)
    check(row, caught.value)
    assert world.dump() == before


async def settled(call: Callable[[Any, World], Any], work: Any, world: World) -> None:
    """Make the call, and await what it gives if that is to be awaited."""
    answer = call(work, world)
    if inspect.isawaitable(answer):
        await answer


@every_row
async def test_async(world: World, redis_url: str, row: Bad) -> None:
    """The async client refuses it with the same code and words."""
    before = world.dump()
    async with coordq.connect_async(redis_url, namespace=world.client.namespace) as aclient:
        with pytest.raises(CoordqError) as caught:
            await settled(row.call, aclient.work, world)

    check(row, caught.value)
    assert world.dump() == before


def test_the_table_is_long() -> None:
    """At least sixty ways to be wrong, no two with the same title."""
    assert len({row.title for row in TABLE}) == len(TABLE) >= 60
