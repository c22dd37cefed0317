"""An audit finds and repairs the same on every engine, shard by shard."""

from __future__ import annotations

from coordq import connect
from coordq.client.audit import Report, run
from coordq.client.client import Client
from coordq.engine import keys

TASKS = 600
"""More than a page."""


def audits(client: Client, *, look: bool) -> list[Report]:
    """One audit of each shard."""
    reports = []
    for shard in range(client.engine.shards):
        *_, report = run(client.engine, look=look, shard=shard)
        reports.append(report)
    return reports


def test_damage_on_each_shard_is_repaired(real_engine_url: str, namespace: str) -> None:
    """Counters, lines, leases and due moments; on a Cluster every shard is on its own."""
    with connect(real_engine_url, namespace=namespace) as client:
        client.work.enqueue_many([("echo", {"n": n}) for n in range(TASKS)])
        client.work.enqueue_many([("later", {"n": n}) for n in range(50)], delay=600)
        held = [client.work.claim_one(task.id, claimant="w1/0:a") for task in client.work.ls()[:40]]
        assert len(held) == 40
        assert [one for report in audits(client, look=True) for one in report.findings] == []
        for shard in range(client.engine.shards):
            root = keys.root(namespace, shard)
            client.engine.execute(shard, "DEL", f"{root}lease", f"{root}line:default:2echo")
            client.engine.execute(shard, "DEL", f"{root}due", f"{root}queues")
            client.engine.execute(shard, "HINCRBY", f"{root}queue:default", "bytes", 5)

        found = audits(client, look=False)

        assert sum(report.tasks for report in found) == TASKS + 50
        findings = [one.wrong for report in found for one in report.findings]
        assert sum(wrong.startswith("it ran without a lease") for wrong in findings) == 40
        assert sum(wrong.startswith("it was scheduled for no moment") for wrong in findings) == 50
        assert sum(wrong.startswith("it was ready and") for wrong in findings) == TASKS - 40
        assert sum(wrong.startswith("bytes was booked") for wrong in findings) == len(found)
        assert [one for report in audits(client, look=True) for one in report.findings] == []
        assert client.work.queue("default").backlog == TASKS + 50
