"""The auditor of tests/work/audit.py finds what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.work.desk import Desk


@pytest.mark.parametrize(
    "tampering",
    [
        ("HINCRBY", "queue:default", "ready", 1),
        ("HINCRBY", "queue:default", "running", -1),
        ("HINCRBY", "queue:default", "bytes", 5),
        ("DEL", "lease"),
        ("ZADD", "lease", 1, "0000000000000000000000|7"),
        ("DEL", "line:default:2job"),
        ("DEL", "heads:default"),
        ("DEL", "due"),
        ("DEL", "dead"),
        ("SET", "fence", 1),
        ("SADD", "cancels", "0000000000000000000000"),
        ("SET", "unique:0123", "0000000000000000000000"),
        ("SET", "p:0000000000000000000000", "{}"),
    ],
)
def test_the_auditor_can_see(desk: Desk, tampering: tuple[str, str, Any]) -> None:
    """An audit that finds nothing proves nothing: each planted fault must be found."""
    desk.audited = False
    for kind in ("failed", "succeeded"):
        desk.put()
        desk.end(desk.take(), kind)
    desk.put()
    desk.take()
    desk.put()
    desk.put(delay=60)
    desk.audit()

    command, key, *rest = tampering
    desk.redis(command, desk.key(key), *rest)

    with pytest.raises(AssertionError):
        desk.audit()
