"""Calling the roll of all agents, written once for both clients."""

from __future__ import annotations

import json
import secrets
from typing import Any, Final

from coordq.amounts import is_number
from coordq.client import agent_plans
from coordq.client.plan import Command, Plan
from coordq.clock import monotonic
from coordq.engine import keys
from coordq.errors import InvalidOption
from coordq.fleet import ping
from coordq.fleet.directory import ALL, Directory, Wanted
from coordq.fleet.ping import AgentPing, Roll

TIMEOUT_MAX_S: Final = 60.0


def call_the_roll(
    namespace: str, directory: Directory, timeout: float
) -> Plan[tuple[AgentPing, ...]]:
    """Ask all workers, and wait until all children have answered or the time is over.

    Raises InvalidOption.
    """
    if not is_number(timeout, 0, TIMEOUT_MAX_S) or timeout == 0:
        raise InvalidOption(
            f"timeout={timeout!r}: give seconds up to {TIMEOUT_MAX_S:g}.", option="timeout"
        )
    yield from agent_plans.learn(directory, afresh=True)
    views = sorted(directory.find(Wanted(states=ALL)), key=lambda view: view.name)
    root, ping_id, roll = keys.root(namespace, 0), secrets.token_hex(8), Roll()
    for worker in sorted({name for view in views for name in view.workers}):
        roll.sent(worker, monotonic())
        inbox = keys.inbox(root, worker)
        yield Command(0, ("RPUSH", inbox, ping.order(ping_id)))
        yield Command(0, ("EXPIRE", inbox, ping.PING_TTL_S))
    deadline, answers = monotonic() + timeout, keys.inbox(root, ping.answers(ping_id))
    while not roll.complete and (left_s := deadline - monotonic()) > 0:
        block_s = max(0.01, left_s)
        reply: Any = yield Command(0, ("BLPOP", answers, f"{block_s:.3f}"), timeout_s=block_s)
        if reply is not None:
            roll.heard(json.loads(reply[1]), monotonic())
    return roll.result(views)
