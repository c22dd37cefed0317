"""What a claimed task needs to know before it runs: inputs from parents, and what it has kept.

Most tasks need nothing, and pay a look at two things in hand. For the others the worker asks Redis:
once for all that were claimed in the same turn of the loop, since whoever joins a thousand parents
is seldom alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace

from coordq.client.plans import by_shard
from coordq.engine import keys
from coordq.engine.aio import AsyncEngine
from coordq.errors import ForeignData
from coordq.ids import shard_of
from coordq.work.claim import Claim
from coordq.work.flow.inputs import MARK, Plan, resolve
from coordq.work.saved import saved
from coordq.work.waits import read_memory

Waiting = tuple[Claim, asyncio.Future[Claim]]


def wanted(claim: Claim) -> bool:
    """Whether a claim must be briefed before it can run."""
    return claim.saved or MARK in claim.args


async def records(engine: AsyncEngine, ids: Collection[str]) -> dict[str, bytes | None]:
    """The records of tasks, of any shards; None for those without."""
    found: dict[str, bytes | None] = {}
    for group in by_shard(sorted(ids)):
        shard = shard_of(group[0])
        root = keys.root(engine.namespace, shard)
        texts = await engine.execute(shard, "MGET", *(keys.task(root, one) for one in group))
        found |= zip(group, texts, strict=True)
    return found


class Briefer:
    """Completes claims, those of one turn of the loop together."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._waiting: list[Waiting] = []
        self._asking: set[asyncio.Task[None]] = set()

    async def brief(self, claim: Claim) -> Claim:
        """The claim with its inputs among the arguments, and with what the task has kept.

        Raises InvalidArguments when an input cannot be had, and what the engine raises.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._begin)
        answer: asyncio.Future[Claim] = loop.create_future()
        self._waiting.append((claim, answer))
        return await answer

    def _begin(self) -> None:
        batch, self._waiting = self._waiting, []
        task = asyncio.create_task(self._ask(batch))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, batch: list[Waiting]) -> None:
        try:
            batch = await self._remember(batch)
            await self._fill(batch)
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)

    async def _remember(self, batch: list[Waiting]) -> list[Waiting]:
        """The same, with what the tasks have kept."""
        kept: dict[str, dict[str, bytes]] = {}
        for group in by_shard([claim.id for claim, _ in batch if claim.saved]):
            found = await self._engine.run(saved(shard_of(group[0]), group))
            kept |= zip(group, found, strict=True)
        return [one if one[0].id not in kept else _reminded(one, kept) for one in batch]

    async def _fill(self, batch: list[Waiting]) -> None:
        """Advance the plans of all together, until each has its arguments."""
        open_: list[tuple[Waiting, Plan, Collection[str]]] = []
        for one in batch:
            plan = resolve(one[0].args)
            _advance(one, plan, None, open_)
        while open_:
            found = await records(self._engine, {task for _, _, ids in open_ for task in ids})
            step, open_ = open_, []
            for one, plan, _ in step:
                _advance(one, plan, found, open_)


def _reminded(one: Waiting, kept: dict[str, dict[str, bytes]]) -> Waiting:
    claim, answer = one
    try:
        return replace(claim, memory=read_memory(kept[claim.id])), answer
    except ValueError as error:
        if not answer.done():
            answer.set_exception(
                ForeignData(f"What task {claim.id} has kept is not coordq's: {error}.")
            )
        return one


def _advance(
    one: Waiting,
    plan: Plan,
    found: dict[str, bytes | None] | None,
    open_: list[tuple[Waiting, Plan, Collection[str]]],
) -> None:
    """Go on with a plan, to its next question or to its end."""
    claim, answer = one
    if answer.done():
        return  # nobody waits any more
    try:
        ids = next(plan) if found is None else plan.send(found)
        open_.append((one, plan, ids))
    except StopIteration as end:
        answer.set_result(replace(claim, args=end.value))
    except Exception as error:  # noqa: BLE001 - the others of the batch have nothing to do with it
        answer.set_exception(error)
