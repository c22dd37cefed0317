"""Supervisors and a Redis that goes away: they step down in time, and come back by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coordq.engine import scripts
from coordq.engine.aio import AsyncEngine, open_async_engine
from coordq.engine.connection import open_engine
from coordq.fleet.election import Candidate
from coordq.ids import new_id
from coordq.runtime.supervisor.office import Office
from coordq.runtime.supervisor.term import Term
from tests.clusters import Cluster
from tests.proxy import LossyProxy
from tests.replicas import Guarded
from tests.runtime.conftest import NewWatchman
from tests.runtime.watchman import Watchman
from tests.servers import Server
from tests.waiting import wait_until, wait_until_async
from tests.work.desk import Desk


def test_a_leader_that_cannot_be_confirmed_steps_down_by_itself(
    proxy: LossyProxy, new_watchman: NewWatchman
) -> None:
    """Cut off, it cannot know who leads now, so it must not; when it is back it campaigns anew."""
    watchman = new_watchman(proxy.url, lease_s=1)
    first = watchman.wait_until_it_leads()

    proxy.refuse()
    watchman.wait_for("leads no more: Redis has not confirmed it for 1 s")
    proxy.accept()

    assert watchman.wait_until_it_leads(terms=2) > first


def test_while_a_leader_is_cut_off_another_leads(
    proxy: LossyProxy, new_watchman: NewWatchman, redis_url: str
) -> None:
    """The one that is cut off has stepped down by then, and stands by when it is back."""
    far = new_watchman(proxy.url, lease_s=1)
    near = new_watchman(redis_url)

    proxy.refuse()
    near.wait_until_it_leads()
    before = far.epochs()
    proxy.accept()

    far.wait_for(f"stand-by: {near.name} leads")
    assert far.epochs() == before


def test_supervisors_outlive_a_redis_that_lost_everything(
    tmp_path: Path, namespace: str, new_server: Callable[..., Server]
) -> None:
    """Killed, and back without its data: one of them leads again, above the old epoch."""
    server = new_server()
    with (
        Watchman(tmp_path, server.url, namespace, lease_s=1) as first,
        Watchman(tmp_path, server.url, namespace, lease_s=1) as second,
    ):
        old = first.wait_until_it_leads()
        server.kill9()
        first.wait_for("leads no more")
        server.start()
        later = wait_until(lambda: [*first.epochs()[1:], *second.epochs()])

        assert all(epoch > old for epoch in later)


def test_a_frozen_redis_is_outlived(
    tmp_path: Path, namespace: str, new_server: Callable[..., Server]
) -> None:
    """Its connections stay open and nothing answers: the lease is watched on our own clock."""
    server = new_server()
    with Watchman(tmp_path, server.url, namespace, lease_s=1) as watchman:
        first = watchman.wait_until_it_leads()
        server.pause()
        watchman.wait_for("leads no more")
        server.resume()

        assert watchman.wait_until_it_leads(terms=2) > first


def test_a_supervisor_ends_without_a_good_bye_when_redis_is_frozen(
    tmp_path: Path, namespace: str, new_server: Callable[..., Server]
) -> None:
    """Who shuts a machine down does not wait for another; the lease ends by itself."""
    server = new_server()
    with Watchman(tmp_path, server.url, namespace, lease_s=60) as watchman:
        server.pause()

        assert watchman.stop() == 0

        assert "left without a good-bye" in watchman.log()


@pytest.mark.slow
def test_a_supervisor_follows_a_failover_away_from_a_frozen_master(
    tmp_path: Path, namespace: str
) -> None:
    """The old master breaks no connection; Sentinel names another, and that is where it leads."""
    with Guarded() as guarded, Watchman(tmp_path, guarded.url, namespace, lease_s=1) as watchman:
        first = watchman.wait_until_it_leads()
        guarded.master.pause()
        try:
            wait_until(lambda: guarded.current_master()[1] == guarded.replica.port, within=120)

            assert watchman.wait_until_it_leads(terms=2) > first
        finally:
            guarded.master.resume()


def test_on_a_cluster_every_shard_is_looked_after(
    tmp_path: Path, namespace: str, cluster: Cluster
) -> None:
    """Each shard knows the epoch, and gets its lapsed claims back."""
    url = f"{cluster.url}?shards=4"
    with open_engine(url, namespace=namespace) as engine:
        desks = [Desk(engine, shard) for shard in range(4)]
        ids = [desk.put(id=new_id(desk.shard)) for desk in desks]
        for desk in desks:
            desk.lapse(desk.take())
        with Watchman(tmp_path, url, namespace, lease_s=60) as watchman:
            epoch = watchman.wait_until_it_leads()

            wait_until(lambda: all(desks[0].state(task_id) == "ready" for task_id in ids))
            wait_until(lambda: [known(desk) for desk in desks] == [epoch] * 4)


def known(desk: Desk) -> int:
    """The highest epoch that a shard has seen."""
    return int(desk.redis("GET", desk.key("epoch")) or 0)


# -- the office by itself ------------------------------------------------------------------------


@pytest.fixture
def desk(redis_url: str, namespace: str) -> Iterator[Desk]:
    """The shard of this test, by hand."""
    with open_engine(redis_url, namespace=namespace) as engine:
        yield Desk(engine)


class Diary:
    """What holds the office here: writes down its terms."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []

    async def begin(self, term: Term) -> None:
        self.begun.append(term.epoch)

    async def end(self, term: Term) -> None:
        self.ended.append(term.epoch)


def office(engine: AsyncEngine, diary: Diary, name: str = "a", lease_ms: int = 500) -> Office:
    """An office that nobody runs yet."""
    return Office(engine, candidate=Candidate(name, lease_ms), holder=diary)


async def two_shards(url: str, namespace: str) -> AsyncEngine:
    """An engine of two shards, both on the server at `url`."""
    engine = await open_async_engine(url, namespace=namespace, patience_s=0.5)
    engine.shards = 2
    return engine


def test_a_shard_that_is_away_keeps_the_others_waiting_for_one_lease_only(
    redis_url: str, redis_server: Server, namespace: str
) -> None:
    """Then the parts begin, and the shard hears of the epoch as soon as it can."""

    async def lead() -> tuple[list[int], int]:
        away = f"cq:{{{namespace}.1}}:epoch"
        redis_server.ask("RPUSH", away, "not now")
        diary = Diary()
        async with await two_shards(redis_url, namespace) as engine:
            running = asyncio.create_task(office(engine, diary, lease_ms=2000).run())
            await wait_until_async(lambda: diary.begun)
            redis_server.ask("DEL", away)
            await wait_until_async(lambda: redis_server.ask("GET", away))
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return diary.begun, int(redis_server.ask("GET", away))

    epochs, seen = asyncio.run(lead())

    assert seen in epochs


def test_parts_do_not_begin_under_an_epoch_that_a_shard_refuses(
    redis_url: str, redis_server: Server, namespace: str
) -> None:
    """A failover of shard 0 took back an election that shard 1 knows of: first get above it."""
    ahead = 2 * 10**15 + 7

    async def lead() -> list[int]:
        redis_server.ask("SET", f"cq:{{{namespace}.1}}:epoch", ahead)
        diary = Diary()
        async with await two_shards(redis_url, namespace) as engine:
            running = asyncio.create_task(office(engine, diary, lease_ms=60_000).run())
            await wait_until_async(lambda: diary.begun)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return diary.begun

    assert asyncio.run(lead()) == [ahead + 1]


@pytest.mark.parametrize("loss", ["reply", "request"])
def test_an_election_whose_reply_was_lost_is_one_election(
    desk: Desk, proxy: LossyProxy, loss: str
) -> None:
    """The candidate asks again, finds that it leads, and holds one term under that epoch."""
    campaign = scripts.load("fleet/campaign")
    desk.redis("SCRIPT", "LOAD", campaign.source)

    async def lead() -> list[int]:
        diary = Diary()
        async with await open_async_engine(proxy.url, namespace=desk.engine.namespace) as engine:
            drop = proxy.drop_reply if loss == "reply" else proxy.drop_request
            drop(campaign.sha.encode())
            running = asyncio.create_task(office(engine, diary, lease_ms=60_000).run())
            await wait_until_async(lambda: diary.begun)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return diary.begun

    epochs = asyncio.run(lead())

    assert proxy.dropped == 1
    assert [event.fence for event in desk.events() if event.kind == "elected"] == epochs


def test_a_renewal_whose_reply_was_lost_does_not_end_the_term(
    desk: Desk, proxy: LossyProxy
) -> None:
    """There are several to a lease, and one that is lost is repeated."""
    campaign = scripts.load("fleet/campaign")

    async def lead() -> Diary:
        diary = Diary()
        async with await open_async_engine(proxy.url, namespace=desk.engine.namespace) as engine:
            running = asyncio.create_task(office(engine, diary, lease_ms=6000).run())
            await wait_until_async(lambda: diary.begun)
            proxy.drop_reply(campaign.sha.encode())
            await wait_until_async(lambda: proxy.dropped)
            desk.redis("PEXPIRE", desk.key("leader"), 5000)
            await wait_until_async(lambda: desk.redis("PTTL", desk.key("leader")) > 5000)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return diary

    diary = asyncio.run(lead())

    assert len(diary.begun) == 1
    assert [event.kind for event in desk.events()] == ["elected"]


def test_a_term_that_cannot_begin_ends_and_is_followed_by_another(
    redis_url: str, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A mistake of ours: it is said, and nobody pretends to lead meanwhile."""

    class Clumsy(Diary):
        async def begin(self, term: Term) -> None:
            await super().begin(term)
            if len(self.begun) == 1:
                raise ZeroDivisionError

    async def lead() -> Diary:
        diary = Clumsy()
        async with await open_async_engine(redis_url, namespace=namespace) as engine:
            running = asyncio.create_task(office(engine, diary, lease_ms=60_000).run())
            await wait_until_async(lambda: len(diary.begun) == 2)
            assert diary.ended == diary.begun[:1]
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return diary

    diary = asyncio.run(lead())

    assert diary.begun == sorted(set(diary.begun))
    assert "the office failed" in caplog.text


def test_terms_of_one_end_before_those_of_another_begin(redis_url: str, namespace: str) -> None:
    """Five offices on one loop, leaders ended one by one: never do two hold a term at once."""

    async def compete() -> list[tuple[str, int]]:
        history: list[tuple[str, int]] = []
        leaders: list[str] = []
        engine = await open_async_engine(redis_url, namespace=namespace)

        class Entry(Diary):
            async def begin(self, term: Term) -> None:
                history.append(("begin", term.epoch))
                leaders.append(term.name)

            async def end(self, term: Term) -> None:
                history.append(("end", term.epoch))

        async with engine:
            runs = {
                name: asyncio.create_task(office(engine, Entry(), name).run()) for name in "abcde"
            }
            while runs:
                await wait_until_async(lambda: history and history[-1][0] == "begin")
                run = runs.pop(leaders[-1])
                run.cancel()
                await asyncio.gather(run, return_exceptions=True)
        return history

    history = asyncio.run(compete())

    epochs = [epoch for what, epoch in history if what == "begin"]
    assert len(epochs) >= 5
    assert epochs == sorted(set(epochs))
    assert history == [(what, epoch) for epoch in epochs for what in ("begin", "end")]
