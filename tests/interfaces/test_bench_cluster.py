"""The bench's own Cluster: each shard on a primary of its own, or its figures say nothing."""

from __future__ import annotations

import pytest

from coordq.client.client import connect
from coordq.engine import keys
from coordq.ids import new_id
from coordq.interfaces.bench.cluster import cluster

pytestmark = pytest.mark.live


def test_every_shard_has_a_primary_of_its_own(server_binary: object) -> None:
    """Two shards of two would share one by chance every other time."""
    assert server_binary
    with cluster(2) as nodes:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        with connect(f"redis+cluster://{hosts}?shards=2", namespace="main") as client:
            for shard in range(2):
                client.work.enqueue("noop", id=new_id(shard))

        for shard, node in enumerate(nodes):
            assert node.raw.command("EXISTS", keys.queue(keys.root("main", shard), "default")) == 1
