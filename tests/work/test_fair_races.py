"""Tenants, from several processes at once: each task once, and everybody in turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from coordq.work import tenant as tenants
from tests.work.desk import Desk, bulk
from tests.work.test_races import PROCESSES, Report, at_once, claim_all, put_many

TENANTS = 20
EACH = 50


def come_and_go(desk: Desk, number: int, *, switch: bool = False) -> Report:
    """Enqueue for all tenants and weigh them, while others claim and do the same."""
    ids: list[str] = []
    claimed: list[str] = []
    for turn in range(EACH):
        for name in (f"t{turn % TENANTS}", f"own-{number}"):
            orders = bulk(2, tenant=name)
            desk.place_all(orders)
            ids += [each.id for each in orders]
        desk.run(tenants.weigh(0, f"t{turn % TENANTS}", 1 + number))
        if switch:
            desk.configure(fair=turn % 2 == number % 2)
        claimed += [each.id for each in desk.claim(3, claimant=f"w{number}/1:a").claims]
    return {"put": ids, "claimed": claimed}


def come_go_and_switch(desk: Desk, number: int) -> Report:
    """The same, while turns are stopped and begun."""
    return come_and_go(desk, number, switch=True)


def test_tasks_of_tenants_are_each_claimed_once(desk: Desk, redis_url: str) -> None:
    """By whoever comes first; and what was served adds up."""
    for number in range(TENANTS):
        put_many(desk, EACH, tenant=f"t{number}")

    reports = at_once(desk, redis_url, claim_all)

    claims = Counter(claim[0] for report in reports for claim in report["claims"])
    assert len(claims) == TENANTS * EACH
    assert set(claims.values()) == {1}
    page = desk.run(tenants.page(0))
    assert {view.name: view.served for view in page.found} == {
        f"t{number}": EACH for number in range(TENANTS)
    }
    assert desk.redis("EXISTS", desk.key("fair:default:2job~")) == 0


@pytest.mark.parametrize("visit", [come_and_go, come_go_and_switch])
def test_tenants_come_go_and_change_all_at_once(
    desk: Desk, redis_url: str, visit: Callable[[Desk, int], Report]
) -> None:
    """Nobody is lost between a line that empties and one that fills; the books are audited."""
    reports = at_once(desk, redis_url, visit)

    put = {task_id for report in reports for task_id in report["put"]}
    claimed = [task_id for report in reports for task_id in report["claimed"]]
    while claims := desk.claim(100).claims:
        claimed += [each.id for each in claims]

    assert len(put) == PROCESSES * EACH * 4
    assert sorted(claimed) == sorted(put)
