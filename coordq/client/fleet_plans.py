"""Operations on the fleet, written once for both clients."""

from __future__ import annotations

from coordq.amounts import is_whole
from coordq.client.plan import Plan
from coordq.errors import InvalidOption, Refused, WorkerNotFound
from coordq.fleet import agents as counting
from coordq.fleet import readonly, roster, spawners
from coordq.fleet import status as seeing
from coordq.fleet.agents import AgentSummary
from coordq.fleet.election import Standing as Office
from coordq.fleet.election import standing
from coordq.fleet.report import read_reports
from coordq.fleet.sentences import lasting, listed
from coordq.fleet.status import FleetStatus, View
from coordq.fleet.suspicion import SUSPECT_BEATS
from coordq.fleet.tell import tell
from coordq.names import check_name
from coordq.work.beat import Buried, bury

EXPECTED_MAX = 1_000_000


def status() -> Plan[FleetStatus]:
    """The fleet at this moment."""
    view: View = yield seeing.look()
    office: Office = yield standing()
    reports: dict[str, dict[str, object]] = yield read_reports("fleet", "rates")
    groups: list[dict[str, object]] = yield spawners.enlisted()
    return seeing.status(view, office, groups=tuple(groups), reports=reports)


def agents() -> Plan[tuple[AgentSummary, ...]]:
    """What each agent has done."""
    infos: list[dict[str, object]] = yield counting.look()
    reports: dict[str, dict[str, object]] = yield read_reports("rates")
    return counting.summarize(infos, reports.get("rates"))


def forget(shards: int, worker: str, *, who: str) -> Plan[int]:
    """Strike a silent worker off, and give back what it held; how many claims that were.

    Raises WorkerNotFound, and Refused for one that beats.
    """
    check_name("worker", worker)
    view: View = yield seeing.look()
    member = view.roster.members.get(worker)
    said = view.introductions.get(worker)
    if member is None and said is None and worker not in view.beats:
        names = listed(sorted({*view.roster.members, *view.beats})) or "none"
        raise WorkerNotFound(
            f"No worker {worker!r} is in the fleet; there are: {names}.", worker=worker
        )
    known = member or roster.newcomer(
        worker, said or roster.Introduction(), now_ms=view.now_ms, heard_ms=0
    )
    silence_ms = int(SUSPECT_BEATS[0] * known.pace_ms)
    for shard in range(shards):
        verdict: str = yield roster.forget(shard, worker, silence_ms)
        if verdict == "alive":
            raise Refused(
                f"Worker {worker!r} beats: it was heard within {lasting(silence_ms)}. To end it, "
                f"use `coordq workers stop {worker}`.",
                worker=worker,
            )
    given_back = yield from _bury(shards, worker)
    claims = "1 claim goes" if given_back == 1 else f"{given_back} claims go"
    yield tell(0, None, [("forgotten", worker, f"by {who}, who says it is gone; {claims} back")])
    return given_back


def _bury(shards: int, worker: str) -> Plan[int]:
    given_back = 0
    for shard in range(shards):
        cursor: int | None = 0
        while cursor is not None:
            buried: Buried = yield bury(shard, worker, cursor=cursor)
            given_back += buried.amount
            cursor = buried.cursor or None
    return given_back


def expect(amount: int | None) -> Plan[None]:
    """Say how many workers the fleet has; None: count them. Raises InvalidOption."""
    if amount is not None and not is_whole(amount, 1, EXPECTED_MAX):
        raise InvalidOption(
            f"amount={amount!r}: give a whole number from 1 to {EXPECTED_MAX:,}, or None to count.",
            option="amount",
        )
    yield roster.set_policy("expect", amount or 0)


def read_only(shards: int, *, on: bool, reason: str, who: str) -> Plan[bool]:
    """Stop all new work, or let it go on; true when something was changed. Raises InvalidOption."""
    if not isinstance(on, bool):
        raise InvalidOption(f"on={on!r}: say True or False.", option="on")
    for option, text in (("reason", reason), ("who", who)):
        if not isinstance(text, str):
            raise InvalidOption(f"{option}={text!r} is not text.", option=option)
    # first the leader has to know that it must not do otherwise
    yield roster.set_policy("writable", 0 if on else 1)
    changed = False
    for shard in range(shards):
        done: bool = yield (
            readonly.stop(shard, who=who, reason=reason) if on else readonly.resume(shard)
        )
        changed = changed or done
    if changed:
        why = f": {reason}" if reason else ""
        yield tell(0, None, [("read-only" if on else "writable", "fleet", f"by {who}{why}")])
    return changed
