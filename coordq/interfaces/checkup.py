"""Whether work kept in a Redis is safe: one finding per question, each with what to do about it.

`coordq doctor` prints them; a dashboard or a health check can ask as well.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from coordq.clock import monotonic, now_ms
from coordq.errors import CoordqError
from coordq.interfaces import fleet_checkup
from coordq.interfaces.finding import Finding, Grade, finding
from coordq.interfaces.words import count, size, span

if TYPE_CHECKING:
    from coordq.client.client import Client
    from coordq.work.queue import Overview

PINGS: Final = 20
SLOW_MS: Final = 10.0
SKEW_MS: Final = 1000.0
FULL_SHARE: Final = 0.8

LEASE_MODE: Final = (
    "lease mode: a claim is safe while Redis keeps what it acknowledged. After a failover that "
    "lost writes, or a pause longer than the lease, a task may run twice; the late finish is "
    "refused by its fence. Two supervisors may then think that they lead; what the older one "
    "writes is refused by its epoch. Use ctx.fence towards outside systems."
)


def examine(connect: Callable[[], Client]) -> Iterator[Finding]:
    """All findings, in order; the rest is left out when Redis cannot be used at all."""
    start = monotonic()
    try:
        client = connect()
    except CoordqError as error:
        yield finding("reach", "bad", str(error), code=error.code)
        return
    with client:
        took_ms = (monotonic() - start) * 1000
        yield finding(
            "reach", "ok", f"{client.engine.address.shown} answers; connected in {span(took_ms)}"
        )
        for check in CHECKS:
            try:
                yield from check(client)
            except CoordqError as error:
                name = check.__name__.strip("_")
                yield finding(name, "bad", f"could not be checked: {error}", code=error.code)
        yield finding("mode", "info", LEASE_MODE)


# The servers


def _latency(client: Client) -> Iterator[Finding]:
    times = []
    for _ in range(PINGS):
        start = monotonic()
        client.engine.execute(0, "PING")
        times.append((monotonic() - start) * 1000)
    middle = statistics.median(times)
    grade: Grade = "warn" if middle > SLOW_MS else "ok"
    says = f"a round trip takes {middle:.2f} ms, at worst {max(times):.2f} ms of {PINGS}"
    yield finding("latency", grade, says, p50_ms=round(middle, 3), max_ms=round(max(times), 3))


def _servers(client: Client) -> Iterator[Finding]:
    """Every server that holds a shard, each once."""
    from coordq.engine.schema import read_info

    seen: set[str] = set()
    for shard in range(client.engine.shards):
        info = read_info(client.engine.execute(shard, "INFO"))
        if info.get("run_id", "?") in seen:
            continue
        seen.add(info.get("run_id", "?"))
        for check in (_version, _eviction, _memory, _persistence, _replicas):
            yield check(info)


def _version(info: dict[str, str]) -> Finding:
    kind = "Valkey" if "valkey_version" in info else "Redis"
    version = info.get("valkey_version") or info.get("redis_version", "?")
    mode = info.get("redis_mode", "standalone")
    return finding("version", "ok", f"{kind} {version}, {mode}", version=version)


def _eviction(info: dict[str, str]) -> Finding:
    policy = info.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        return finding("eviction", "ok", "noeviction: a full Redis refuses new work", policy=policy)
    return finding(
        "eviction",
        "warn",
        f"maxmemory-policy is {policy}: once maxmemory is set Redis deletes tasks, and coordq "
        "refuses it. Run: redis-cli config set maxmemory-policy noeviction",
        policy=policy,
    )


def _memory(info: dict[str, str]) -> Finding:
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not most:
        says = f"{size(used)} used, no limit: Redis grows until the machine is full"
        return finding("memory", "ok", says, used=used, limit=0)
    share = used / most
    says = f"{size(used)} of {size(most)} used ({100 * share:.0f} %)"
    grade: Grade = "bad" if share >= 1 else "warn" if share > FULL_SHARE else "ok"
    return finding("memory", grade, says, used=used, limit=most)


def _persistence(info: dict[str, str]) -> Finding:
    if info.get("aof_last_write_status", "ok") != "ok":
        return finding(
            "persistence", "bad", "the append-only file is not written: is the disk full?"
        )
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        return finding("persistence", "bad", "the last snapshot failed: is the disk full?")
    if info.get("aof_enabled") == "1":
        says = "append-only file is on; a crash of the machine can cost the last second (everysec)"
        return finding("persistence", "ok", says, aof=True)
    saved = int(info.get("rdb_last_save_time", 0)) > _started_s(info)
    return finding(
        "persistence",
        "warn",
        (
            "only snapshots: a crash loses what came after the last"
            if saved
            else "nothing is persisted"
        )
        + ". Run: redis-cli config set appendonly yes",
        aof=False,
    )


def _started_s(info: dict[str, str]) -> float:
    return now_ms() / 1000 - int(info.get("uptime_in_seconds", 0)) + 1


def _replicas(info: dict[str, str]) -> Finding:
    if info.get("role", "master") != "master":
        return finding("replicas", "bad", "this is a replica: it takes no writes. Name its master.")
    replicas = int(info.get("connected_slaves", 0))
    if not replicas:
        return finding("replicas", "info", "no replica: this server is the only one", replicas=0)
    says = (
        f"{replicas} connected; they follow asynchronously, so a failover can lose the last "
        "writes, acknowledged ones too; enqueue what must not be with durability='replica'"
    )
    return finding("replicas", "ok", says, replicas=replicas)


def _clock(client: Client) -> Iterator[Finding]:
    before = now_ms()
    seconds, micros = client.engine.execute(0, "TIME")
    skew = int(seconds) * 1000 + int(micros) / 1000 - (before + now_ms()) / 2
    grade: Grade = "warn" if abs(skew) > SKEW_MS else "ok"
    says = f"Redis is {span(abs(skew))} {'ahead of' if skew > 0 else 'behind'} this machine"
    if grade == "warn":
        says += "; leases are safe (Redis decides them), but ages and --at look wrong. Use NTP"
    yield finding("clock", grade, says, skew_ms=round(skew, 1))


# What coordq keeps there


def _schema(client: Client) -> Iterator[Finding]:
    from coordq.engine.schema import SCHEMA

    shards = client.engine.shards
    says = f"namespace {client.namespace!r}, key space {SCHEMA}, {shards} shard{'s' * (shards > 1)}"
    yield finding("schema", "ok", says, schema=SCHEMA, shards=shards, namespace=client.namespace)


def _scripts(client: Client) -> Iterator[Finding]:
    """Whether the server takes every script, and gives it the name we know it by."""
    from coordq.engine import scripts

    names = scripts.names()
    wrong = []
    for shard in range(client.engine.shards):
        for name in names:
            script = scripts.load(name)
            sha = client.engine.execute(shard, "SCRIPT", "LOAD", script.source)
            if sha.decode() != script.sha:
                wrong.append(name)
    if wrong:
        yield finding("scripts", "bad", f"these load as something else: {', '.join(wrong)}")
    else:
        yield finding("scripts", "ok", f"all {len(names)} scripts load", scripts=len(names))


def _claims(client: Client) -> Iterator[Finding]:
    from coordq.engine import keys

    held = lapsed = 0
    for shard in range(client.engine.shards):
        lease = keys.lease(keys.root(client.namespace, shard))
        seconds, _ = client.engine.execute(shard, "TIME")
        held += int(client.engine.execute(shard, "ZCARD", lease))
        lapsed += int(client.engine.execute(shard, "ZCOUNT", lease, "-inf", int(seconds) * 1000))
    if not lapsed:
        yield finding("claims", "ok", f"{count(held)} tasks are claimed, all leases run", held=held)
        return
    says = f"{count(lapsed)} of {count(held)} claims have lapsed; any live worker takes them back"
    yield finding("claims", "warn", says, held=held, lapsed=lapsed)


def _queues(client: Client) -> Iterator[Finding]:
    seen = client.work.stats()
    troubles = list(_troubles(seen))
    if troubles:
        yield finding("queues", "warn", "; ".join(troubles), dead=seen.dead)
    else:
        says = f"{len(seen.queues)} queues, {count(seen.dead)} dead letters"
        yield finding("queues", "ok", says, dead=seen.dead)


def _troubles(seen: Overview) -> Iterator[str]:
    served = {str(name) for worker in seen.workers for name in worker.info.get("queues", [])}
    for queue in seen.queues:
        if queue.paused and queue.ready:
            yield f"{queue.name} is paused with {count(queue.ready)} ready tasks"
        elif queue.ready and queue.name not in served:
            yield f"nobody serves {queue.name}, where {count(queue.ready)} tasks are ready"
        if queue.high and queue.backlog >= queue.high:
            yield f"{queue.name} is full: {count(queue.backlog)} of {count(queue.high)}"


CHECKS: Final = (
    _latency,
    _servers,
    _clock,
    _schema,
    _scripts,
    _claims,
    fleet_checkup.workers,
    fleet_checkup.supervisors,
    fleet_checkup.read_only,
    _queues,
)
