"""Decides whether a history is one that coordq allows. Pure: a History in, violations out.

| rule | what was promised |
|---|---|
| `incomplete` | the history has no gap: without this nothing else means anything |
| `lost` | an acknowledged task is known to Redis |
| `stuck` | a task has ended, and nothing of it is left behind |
| `twice` | a task ends once |
| `order` | the versions of a task go up by one; none is skipped or written twice |
| `fence` | every claim's fence is higher than all before it on its shard |
| `stale` | an outcome is committed under the last fence that was granted |
| `hollow` | a success is committed after its handler had completed under that fence |
| `effect` | the fenced resource took a task's write once, and never refused who committed |
| `unique` | of one unique key there is one task at a time |
| `reason` | a dead letter says why |
| `stranger` | every task was enqueued by somebody |
| `leader` | an epoch has one leader; nobody writes under an older one than its shard has seen |
| `counters` | a queue's counters say what its events say |
| `repaired` | nothing had to be mended |
| `flow` | a flow starts, and ends as its shape says, each task after its parents |
| `limit` | of one key no more run at once, or start in a period, than may; nobody keeps a slot |
| `message` | each group handles a message or buries it with a reason; none is held for ever |
| `again` | a group is given nothing that it has acknowledged |
| `shared` | what one process handles is given to no other before its time |
| `lane` | a critical message comes before what is published after it |
| `bound` | in a channel lies no more than there is room for |
| `receipts` | for each group each message ended once, and was given out as often as it counted |
| `session` | no turn is lost or said twice; each hears them in order, one at a time |
| `failure` | no worker and no supervisor met an error that nobody had foreseen |

What `limit` means while workers are stopped or cut past their leases, see `limits`: an old run that
goes on for a while holds no slot, and nobody can prevent it.

No event tells of an acknowledged message. That its group has handled it is proven by the journal of
a handler that ended well, and was not told to stop; that the acknowledgement had come to Redis, by
what the same process heard later: see `messages`. So `again` finds what can be proven, and no run
of a worker that was stopped is taken for it. Order, in sessions and of groups that are ordered, is
judged by when handlers ended and began, which needs no such proof. That nothing was acknowledged
twice, or never, although the journals cannot show it, is what `receipts` adds: it is the only rule
that believes figures of coordq's, and only as far as they agree with the journals.

What a failover of Redis took back is forgotten with it, except that fences go on growing. A task,
a flow, a message or a turn that was acknowledged in those moments may be missing, and a message
whose acknowledgement was lost comes again: `excused` tells these apart. A flow some of which was
taken back may end otherwise than its shape says, but it ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from coordq.interfaces.chaos.flows import check_flows, never_launched
from coordq.interfaces.chaos.givings import check_givings
from coordq.interfaces.chaos.history import History, Rest
from coordq.interfaces.chaos.leaders import check_leaders
from coordq.interfaces.chaos.limits import check_limits
from coordq.interfaces.chaos.lives import Life, check_lives
from coordq.interfaces.chaos.messages import check_messages
from coordq.interfaces.chaos.receipts import check_receipts
from coordq.interfaces.chaos.sessions import check_sessions
from coordq.interfaces.chaos.violation import Violation

SLACK_MS = 250
"""Between two clocks of one machine, and for what Redis's time of a script is rounded by."""
COUNTED = {
    "enqueued": ("ready", "scheduled", "unblocked"),
    "succeeded": ("succeeded",),
    "failed": ("failed",),
    "cancelled": ("cancelled", "skipped"),
    "retried": ("retrying",),
}
WRITTEN = {"applied", "known"}
"""What the resource answers when a task's write is made, now or before."""
STANDING = ("ready", "scheduled", "running", "bytes")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out."""

    violations: tuple[Violation, ...]
    excused: tuple[Violation, ...]
    """Acknowledged writes that an asynchronous failover lost, which nobody promised to keep."""
    lives: dict[str, Life]


def check(history: History) -> Verdict:
    """All that is wrong with a history."""
    lives, found = check_lives(history)
    for rule in RULES:
        found += rule(history, lives)
    gone = never_launched(history)
    excused = {one for one in found if _is_excused(history, gone, one)}
    return Verdict(
        tuple(one for one in found if one not in excused),
        tuple(one for one in found if one in excused),
        lives,
    )


def _is_excused(history: History, never_launched: set[str], one: Violation) -> bool:
    if one.subject in never_launched:
        return one.rule in {"lost", "stuck", "flow"}
    if one.back is not None:
        return history.taken_back(*one.back)
    return one.rule == "lost" and history.lost_by_failover(one.subject)


def _incomplete(history: History, _: dict[str, Life]) -> Iterator[Violation]:
    for gap in history.gaps:
        yield Violation("incomplete", "history", f"the stream had forgotten events, {gap}")


def _lost(history: History, lives: dict[str, Life]) -> Iterator[Violation]:
    for task_id, ack in history.acked.items():
        if task_id not in lives:
            told = f"{ack.name} was acknowledged at {ack.ms} ms and no event names it"
            yield Violation("lost", task_id, told)


def _stuck(history: History, lives: dict[str, Life]) -> Iterator[Violation]:
    rest = history.rest
    for task_id, life in lives.items():
        if not life.ended:
            held = " under a lease" if any(task_id in one for one in rest.leases) else ""
            state = rest.open.get(task_id, "gone")
            told = f"its last event is {life.last}; its record is {state}{held}"
            yield Violation("stuck", task_id, told)
    for task_id, state in rest.open.items():
        if task_id not in lives or lives[task_id].ended:
            yield Violation("stuck", task_id, f"its record is still {state}")
    for member in (*rest.leases, *rest.due):
        task_id = member.partition("|")[0][-22:]
        if task_id not in rest.open:
            yield Violation("stuck", task_id, f"{member} is left behind as a lease or due moment")


def _hollow(history: History, lives: dict[str, Life]) -> Iterator[Violation]:
    for task_id, life in lives.items():
        if life.ended != "succeeded":
            continue
        run = history.runs.get((task_id, life.end_fence))
        if run is None:
            told = f"succeeded under fence {life.end_fence}, under which no handler ran"
        elif run.how != "done":
            told = f"succeeded under fence {life.end_fence}, whose handler {run.how or 'died'}"
        elif run.ended_ms + history.offset_ms > life.ended_ms + SLACK_MS:
            late = run.ended_ms + history.offset_ms - life.ended_ms
            told = f"succeeded {late} ms before its handler had completed"
        else:
            continue
        yield Violation("hollow", task_id, told)


def _effect(history: History, lives: dict[str, Life]) -> Iterator[Violation]:
    applied = Counter(task_id for task_id, _, answer in history.answers if answer == "applied")
    for task_id, times in applied.items():
        if times > 1:
            yield Violation("effect", task_id, f"its write was made {times} times")
    refused = {(one, fence) for one, fence, answer in history.answers if answer == "refused"}
    written = {(one, fence) for one, fence, answer in history.answers if answer in WRITTEN}
    for task_id, life in lives.items():
        fence = life.end_fence
        if (task_id, fence) in refused:
            yield Violation("effect", task_id, f"committed fence {fence}, which was refused")
        ack = history.acked.get(task_id)
        fenced = ack is not None and ack.name == "fenced" and life.ended == "succeeded"
        if fenced and (task_id, fence) not in written:
            yield Violation("effect", task_id, "succeeded, and its write was not made")


def _unique(history: History, _: dict[str, Life]) -> Iterator[Violation]:
    for digest, task_id in history.rest.keys.items():
        if task_id not in history.rest.open:
            yield Violation("unique", task_id, f"it has ended and still holds key {digest}")


def _reason(history: History, lives: dict[str, Life]) -> Iterator[Violation]:
    for task_id, life in lives.items():
        if life.ended == "failed" and not life.detail.strip():
            yield Violation("reason", task_id, "it is a dead letter without a reason")
    for task_id, reason in history.rest.dead.items():
        if not reason:
            yield Violation("reason", task_id, "its record gives no reason for being dead")


def _stranger(history: History, lives: dict[str, Life]) -> Iterator[Violation]:
    for task_id in lives:
        if task_id not in history.wished:
            yield Violation("stranger", task_id, "no producer has tried to enqueue it")


def _counters(history: History, _: dict[str, Life]) -> Iterator[Violation]:
    for shard, queues in history.rest.counters.items():
        told = _told(history, shard)
        for queue, counters in queues.items():
            for name, kinds in COUNTED.items():
                said, seen = counters.get(name, 0), sum(told[queue, kind] for kind in kinds)
                if said != seen:
                    what = f"shard {shard}: {name} is {said}, its events say {seen}"
                    yield Violation("counters", queue, what)
            for name in () if _stand(history.rest) else STANDING:
                if counters.get(name, 0) != 0:
                    what = f"shard {shard}: {name} is {counters[name]} with nothing left"
                    yield Violation("counters", queue, what)


def _stand(rest: Rest) -> bool:
    """Whether tasks are left that the standing counters count."""
    return any(state != "waiting" for state in rest.open.values())


def _told(history: History, shard: int) -> Counter[tuple[str, str]]:
    """How often each kind of event came in each queue; of being ready a task's first time only."""
    return Counter(
        (event.queue, event.kind)
        for event in history.events.get(shard, ())
        if event.version == 1 or event.kind not in {"ready", "scheduled"}
    )


def _repaired(history: History, _: dict[str, Life]) -> Iterator[Violation]:
    for events in history.events.values():
        for event in events:
            if event.kind == "repaired":
                yield Violation("repaired", event.subject, f"{event.at}: {event.detail}")


def _failure(history: History, _: dict[str, Life]) -> Iterator[Violation]:
    for whose, told in history.failures:
        yield Violation("failure", whose, told)


def _leader(history: History, _: dict[str, Life]) -> Iterator[Violation]:
    yield from check_leaders(history)


RULES: tuple[Callable[[History, dict[str, Life]], Iterator[Violation]], ...] = (
    _incomplete,
    _lost,
    _stuck,
    _hollow,
    _effect,
    _unique,
    _reason,
    _stranger,
    _leader,
    _counters,
    _repaired,
    _failure,
    check_flows,
    check_limits,
    check_messages,
    check_givings,
    check_receipts,
    check_sessions,
)
