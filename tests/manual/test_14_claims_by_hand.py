"""Chapter 14. Claims: the right to one task, for a while. Workers do this for you."""

from __future__ import annotations

import pytest

from coordq import Client
from coordq.errors import Conflict


def test_a_browsed_task_can_be_taken(client: Client) -> None:
    """An operator's tool: look at a task, then take exactly that one, as it was seen."""
    seen = client.work.enqueue("review", {"document": 7}).get()
    claim = client.work.claim_one(seen.id, version=seen.version, claimant="ada")

    assert (claim.id, claim.attempt) == (seen.id, 1)
    assert client.work.get(seen.id).worker == "ada"


def test_only_one_of_two_gets_it(client: Client) -> None:
    """Versions make it optimistic: the second is told how the task stands now."""
    seen = client.work.enqueue("review", {"document": 8}).get()
    client.work.claim_one(seen.id, version=seen.version, claimant="ada")

    with pytest.raises(Conflict) as caught:
        client.work.claim_one(seen.id, version=seen.version, claimant="grace")
    assert (caught.value.state, caught.value.version) == ("running", seen.version + 1)


def test_a_claim_has_a_lease(client: Client) -> None:
    """Who holds a claim must beat; when the lease lapses, the task goes to somebody else."""
    handle = client.work.enqueue("review", {"document": 9})
    client.work.claim_one(handle.id, claimant="ada")

    assert 0 < (handle.get().lease_left_ms or 0) <= 10_000
