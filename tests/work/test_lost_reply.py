"""The worst failure: a script was carried out and its reply never came. The retry has one effect.

Whatever the script did before its reply was lost, and whatever the repetition did on top, the books
must say that it happened once.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tests.work.scenes_fair
import tests.work.scenes_flows
import tests.work.scenes_leader
import tests.work.scenes_limits
import tests.work.scenes_schedules
import tests.work.scenes_waits  # noqa: F401 - these add their scenes
from coordq.engine import scripts
from coordq.engine.connection import Engine, open_engine
from coordq.work import enqueue as ordering
from tests.lost import ENGINES, all_calls, has_one_effect, lose, untried
from tests.proxy import LossyProxy
from tests.work.desk import Desk, bulk
from tests.work.scenes import SCENES


@pytest.fixture
def far(proxy: LossyProxy, namespace: str) -> Iterator[Engine]:
    """An engine at the other end of the lossy wire."""
    with open_engine(proxy.url, namespace=namespace) as engine:
        yield engine


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("name", SCENES)
def test_a_lost_reply_has_one_effect(desk: Desk, proxy: LossyProxy, name: str, kind: str) -> None:
    """The engine repeats the call by itself."""
    has_one_effect(SCENES, name, desk, proxy, kind)


@pytest.mark.parametrize("name", ["enqueue", "claim_some", "finish_and_claim"])
def test_a_request_that_never_arrived_is_sent_again(
    desk: Desk, proxy: LossyProxy, far: Engine, name: str
) -> None:
    """The other way to lose an exchange; the caller cannot tell the two apart."""
    call, check = SCENES[name](desk)
    script = scripts.load(call.script)
    desk.redis("SCRIPT", "LOAD", script.source)
    proxy.drop_request(script.sha.encode())

    answer = far.run(call)

    if name != "finish_and_claim":
        check(answer)
    else:
        assert answer.verdicts == ("ok",)


def test_every_script_of_the_work_room_has_a_scene(desk: Desk) -> None:
    """A script that is added has to stand the same test."""
    assert untried(SCENES, desk, "work", "flow", "limit") == set()


def test_a_window_of_calls_survives_a_lost_reply(
    desk: Desk, proxy: LossyProxy, far: Engine
) -> None:
    """run_many has calls on their way behind the one whose reply is lost."""
    batches = [bulk(50) for _ in range(6)]
    calls = [ordering.enqueue_many(batch, on_full="wait") for batch in batches]
    lose(desk, proxy, calls[0])

    receipts = far.run_many(calls)

    assert [receipt.id for each in receipts for receipt in each] == [
        each.id for batch in batches for each in batch
    ]
    assert desk.queue().ready == 300


def test_a_script_cache_flushed_between_calls_is_no_trouble(desk: Desk) -> None:
    """A restart or an operator's SCRIPT FLUSH: the script is sent whole, once."""
    for call in all_calls(SCENES, desk):
        desk.redis("SCRIPT", "FLUSH")
        desk.run(call)
