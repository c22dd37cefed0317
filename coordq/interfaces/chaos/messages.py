"""What may be said of messages, by what producers and listeners wrote down. Pure.

No stream tells of acknowledgements, so that one was made has to follow from something else. A
worker puts its verdict over a message into the first call after the handler, and asks for more in
the same call. So when a process hears a message that was published after the end of a run, a call
has come back that was carried out after it; when it then hears one that was published after that,
the acknowledgement is in Redis for certain. In the same way a process that hears something new
before an old message was given the old one later than the new one was published. By that, and not
by when a handler ran, is judged whether something was given out after its acknowledgement: a run
that begins late in a process that was stopped had been given out before, and nobody can prevent it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import Final

from coordq.ids import shard_of
from coordq.interfaces.chaos.bus_told import BusTold, Hearing
from coordq.interfaces.chaos.history import History
from coordq.interfaces.chaos.listeners import IN_THREADS, MIRROR, groups_of
from coordq.interfaces.chaos.lives import Life
from coordq.interfaces.chaos.news import News
from coordq.interfaces.chaos.violation import Violation

CALLS: Final = 3
"""After so many calls of its process an acknowledgement is in Redis: one more than would do."""
BURIED: Final = ("exception: ", "too many deliveries")
"""How the reasons of dead letters begin: a handler failed, or workers died with it."""
STOPPED_MS: Final = 5_000
"""For so long a message may wait in a worker that was stopped: it was sent that much earlier."""


def check_messages(history: History, _: dict[str, Life]) -> Iterator[Violation]:
    """What is wrong with what was published, and how it was heard."""
    runs = runs_of(history.bus)
    yield from _lost(history, runs)
    yield from _left(history)
    yield from _strangers(history)
    yield from _out_of_turn(history, runs)
    yield from _again(history, runs)


def runs_of(told: BusTold) -> dict[tuple[str, str], list[Hearing]]:
    """Runs by group and message."""
    runs: dict[tuple[str, str], list[Hearing]] = defaultdict(list)
    for one in told.heard:
        runs[one.group, one.id].append(one)
    return runs


def _lost(history: History, runs: dict[tuple[str, str], list[Hearing]]) -> Iterator[Violation]:
    for message_id, sent in history.bus.sent.items():
        back = shard_of(message_id), sent.asked_ms, sent.ms
        groups = groups_of(sent.place[1:])
        if groups and sent.receivers != len(groups):
            told = f"it was taken for {sent.receivers} of the groups {', '.join(groups)}"
            yield Violation("message", message_id, told, back)
        for group in groups:
            done = any(run.how == "done" for run in runs.get((group, message_id), ()))
            if not done and (group, message_id) not in history.rest.bus.dead:
                told = f"{group} has neither handled nor buried it, in {sent.place}"
                yield Violation("message", message_id, told, back)
    for (group, message_id), reason in history.rest.bus.dead.items():
        if not reason:
            yield Violation("message", message_id, f"{group} has buried it without a reason")
        elif not reason.startswith(BURIED):
            told = f"{group} has buried it for no reason that the run gives: {reason}"
            yield Violation("message", message_id, told)


def _left(history: History) -> Iterator[Violation]:
    rest = history.rest.bus
    for what, those in (("held by", rest.held), ("announced to", rest.heads)):
        for group, entries in those.items():
            for entry in entries:
                yield Violation("message", entry, f"it is still {what} {group} with nothing left")
    for place, amount in rest.left.items():
        if amount:
            yield Violation("message", place, f"{amount} entries lie there with nothing left")


def _strangers(history: History) -> Iterator[Violation]:
    told = history.bus
    written = {turn.id for turns in history.rest.bus.transcripts.values() for turn in turns}
    for one in told.heard:
        if one.id not in told.tried and one.id not in told.said and one.id not in written:
            what = f"{one.group} was given it and nobody has sent it"
            back = one.shard, one.began_ms - STOPPED_MS, one.began_ms
            yield Violation("message", one.id, what, back)


def _out_of_turn(
    history: History, runs: dict[tuple[str, str], list[Hearing]]
) -> Iterator[Violation]:
    """An ordered group handles what one producer sent to one place one by one, in its order."""
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    # a producer that was started anew has several journals, which come in any order
    for message_id, sent in sorted(history.bus.sent.items(), key=lambda one: one[1].asked_ms):
        if MIRROR in groups_of(sent.place[1:]):
            places[sent.producer, sent.place].append(message_id)
    for (_, place), ids in places.items():
        for message_id, told, back in out_of_turn([runs.get((MIRROR, one), []) for one in ids]):
            yield Violation("message", message_id, f"{told}, to {MIRROR} in {place}", back)


def out_of_turn(
    series: Iterable[Sequence[Hearing]],
) -> Iterator[tuple[str, str, tuple[int, int, int]]]:
    """Which of a series of messages, each with its runs, was given before the last was handled."""
    ended_ms, last = 0, ""
    for runs in series:
        if not runs:
            continue  # lost or buried unheard, which is told elsewhere
        first = min(runs, key=lambda run: run.began_ms)
        if first.began_ms < ended_ms:
            told = f"it was given {ended_ms - first.began_ms} ms before {last} had been handled"
            yield first.id, told, (first.shard, first.began_ms, ended_ms)
        ends = [run.ended_ms for run in runs if run.how == "done"]
        if ends:
            ended_ms, last = max(ended_ms, min(ends)), first.id


def _again(history: History, runs: dict[tuple[str, str], list[Hearing]]) -> Iterator[Violation]:
    """What was given out although its group had acknowledged it."""
    news = _news(history.bus)
    for (group, message_id), those in runs.items():
        done = list(_acknowledged(those)) if len(those) > 1 else []
        acked_ms = min((_in_redis(news, run) for run in done), default=inf)
        for run in those:
            if news.after((run.process, group, run.shard), acked_ms) < run.began_ms:
                told = (
                    f"{group} was given it in attempt {run.attempt}, after it had acknowledged it"
                )
                ended_ms = min(one.ended_ms for one in done)
                yield Violation("again", message_id, told, (run.shard, ended_ms, run.began_ms))


def proven(told: BusTold) -> tuple[int, int]:
    """How many runs have ended well, and of how many it is certain that Redis heard of it."""
    news = _news(told)
    done = [run for run in told.heard if run.how == "done"]
    return len(done), sum(_in_redis(news, run) < inf for run in done)


def _acknowledged(runs: Sequence[Hearing]) -> Iterator[Hearing]:
    """Those whose end was an acknowledgement.

    A thread that ends while its run is told to stop cannot know: the message is given back then,
    and comes again as the same delivery.
    """
    times = Counter(run.attempt for run in runs)
    for run in runs:
        if run.how == "done" and (run.group not in IN_THREADS or times[run.attempt] == 1):
            yield run


def _in_redis(news: News, run: Hearing) -> float:
    """By when the acknowledgement of a run was certainly in Redis."""
    moment: float = run.ended_ms
    if run.group in IN_THREADS:  # the worker knows of the end when it begins with the next one
        moment = news.after((run.process, run.group, run.shard), moment)
    for _ in range(CALLS):
        moment = news.after((run.process, "", run.shard), moment)
    return moment


def _news(told: BusTold) -> News:
    """What each process heard from each shard, in all and by group."""
    return News(
        ((run.process, group, run.shard), sent.asked_ms, run.began_ms)
        for run in told.heard
        if (sent := told.sent.get(run.id) or told.said.get(run.id)) is not None
        for group in ("", run.group)
    )
