"""What may be said of sessions: the transcripts that are left, and the listeners' journals. Pure.

Who takes part is given a turn when they have acknowledged the one before, so a turn that begins
before the last was handled was given out too early. Each turn that is no answer is answered by who
hears it, before its handler ends: of a turn that was handled the answer is in the transcript, and
however often the handler ran, it is there once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from coordq.ids import shard_of
from coordq.interfaces.chaos.bus_told import Hearing, TurnLeft
from coordq.interfaces.chaos.history import History
from coordq.interfaces.chaos.listeners import PEOPLE
from coordq.interfaces.chaos.lives import Life
from coordq.interfaces.chaos.messages import out_of_turn, runs_of
from coordq.interfaces.chaos.violation import Violation

Runs = dict[tuple[str, str], list[Hearing]]


def check_sessions(history: History, _: dict[str, Life]) -> Iterator[Violation]:
    """What is wrong with the sessions that producers held."""
    runs = runs_of(history.bus)
    yield from _lost(history)
    for session_id, turns in history.rest.bus.transcripts.items():
        numbers = [turn.number for turn in turns]
        if numbers != list(range(1, len(turns) + 1)):
            yield Violation("session", session_id, f"its turns are {numbers}")
        yield from _twice(session_id, turns)
        for name in PEOPLE:
            yield from _heard(history, runs, session_id, name)
        yield from _answers(runs, session_id, turns)


def _lost(history: History) -> Iterator[Violation]:
    """Turns that were acknowledged, and are not what the transcript has there."""
    for message_id, said in history.bus.said.items():
        session_id = said.place[2:]
        turns = history.rest.bus.transcripts.get(session_id, ())
        if not any(turn.number == said.receivers and turn.id == message_id for turn in turns):
            told = f"turn {said.receivers}, {message_id}, was acknowledged and is not there"
            back = shard_of(session_id), said.asked_ms, said.ms
            yield Violation("session", session_id, told, back)


def _twice(session_id: str, turns: Sequence[TurnLeft]) -> Iterator[Violation]:
    said = Counter((turn.speaker, what) for turn in turns if (what := _content(turn)) is not None)
    for (speaker, what), times in said.items():
        if times > 1:
            yield Violation("session", session_id, f"{speaker} has said {what} {times} times")


def _content(turn: TurnLeft) -> str | None:
    """What is said once: a turn of the producer, or an answer."""
    body = turn.body if isinstance(turn.body, dict) else {}
    if "re" in body:
        return f"the answer to {body['re']}"
    return f"turn {body['n']} of its producer" if "n" in body else None


def _heard(history: History, runs: Runs, session_id: str, name: str) -> Iterator[Violation]:
    """One who takes part: each turn, in order, one at a time."""
    group = f"@{name}"
    turns = history.rest.bus.transcripts[session_id]
    meant = [turn for turn in turns if turn.speaker not in {"", name}]
    for _, told, back in out_of_turn([runs.get((group, turn.id), []) for turn in meant]):
        yield Violation("session", session_id, f"{told}, to {name}", back)
    for turn in meant:
        done = any(run.how == "done" for run in runs.get((group, turn.id), ()))
        if not done and (group, turn.id) not in history.rest.bus.dead:
            told = f"{name} has neither handled nor buried turn {turn.number}, {turn.id}"
            yield Violation("session", session_id, told)


def _answers(runs: Runs, session_id: str, turns: Sequence[TurnLeft]) -> Iterator[Violation]:
    answered = {turn.body["re"] for turn in turns if "re" in (turn.body or ())}
    for turn in turns:
        if turn.id in answered or "n" not in (turn.body or ()):
            continue
        for name in PEOPLE:
            done = [run for run in runs.get((f"@{name}", turn.id), ()) if run.how == "done"]
            if done:
                told = f"{name} has handled turn {turn.number}, and the answer is not there"
                back = done[0].shard, done[0].began_ms, done[-1].ended_ms
                yield Violation("session", session_id, told, back)
