"""One run of a task, and when it is over."""

from __future__ import annotations

import asyncio

from coordq import Agent, clock, ids
from coordq.runtime.run import Run
from coordq.work.claim import Claim
from coordq.work.spec import Spec

agent = Agent("test")


@agent.task
async def job() -> None:
    """Nothing."""


def claim(*, age_ms: int, total_ms: int) -> Claim:
    """Granted so long after it was enqueued, both an hour ago by the clock of this machine."""
    granted_ms = clock.now_ms() - 3_600_000
    head = ids.new_id()[9:]
    task_id = base32(granted_ms - age_ms) + head
    fence = granted_ms * 1000
    spec = Spec("default", "job", total_ms=total_ms)
    return Claim(task_id, fence, 2, 1, 0, spec, b"{}", f"{task_id}|{fence}")


def base32(number: int) -> str:
    """Nine characters, as ids begin."""
    digits = "0123456789abcdefghijklmnopqrstuv"
    return "".join(digits[number >> shift & 31] for shift in range(40, -1, -5))


def test_a_wrong_clock_does_not_shorten_the_total_time() -> None:
    """A worker whose clock is an hour fast used to tell every handler that its time was up."""

    async def left_s() -> float:
        one = claim(age_ms=10_000, total_ms=60_000)
        deadline = Run(one, agent.handlers["job"], grace_s=1).deadline()
        assert deadline is not None
        return deadline - clock.monotonic()

    assert 20 < asyncio.run(left_s()) <= 50
