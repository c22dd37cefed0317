"""Several steps answer one question, and one puts their answers side by side.

In the graph that is a node with the task name `coordq.synthesize`, which every worker can do
without a handler. Its arguments, filled in as those of any task (`refs.fill`):

    asked     the keys of the steps, in order: the names of the agents. Of a map over a result its
              key: its tasks are "<key>.0", "<key>.1", ...
    same      when two answers are equal: json or casefold, see `synthesis.SAMENESS`
    at_least  how many must answer; without it one, unless nobody was asked
    answers   how each of them ended, {"ok": <result>} or {"error": ...}; filled in

A result that is an object of `value`, and perhaps `evidence` and `about`, is an answer in these
words; any other is the answer itself. A step that failed or was cancelled was asked and is silent;
one that was skipped was not asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from coordq.amounts import is_whole
from coordq.errors import InvalidArguments, TooFewAnswers
from coordq.work.flow.refusal import refuse
from coordq.work.flow.step import Group, Input, Step, Value
from coordq.work.synthesis import SAMENESS, Answer, synthesize

_WORDS = frozenset({"value", "evidence", "about"})


def question(
    flow: str, key: str, of: Any, same: str, at_least: int | None = None
) -> tuple[dict[str, Any], dict[str, Value]]:
    """Arguments and inputs of the node that puts answers together. Raises InvalidFlow."""
    terms = _terms(flow, key, same, at_least)
    if isinstance(of, Group) and of.over is not None:
        return {"asked": of.over.key, **terms}, {"answers": of.settled}
    steps: list[Step] = []
    for one in of if isinstance(of, list | tuple | Group) else (of,):
        if isinstance(one, Group) and one.over is None:
            steps += one
        elif isinstance(one, Step):
            steps.append(one)
        else:
            refuse(flow, key, f"{one!r:.60} cannot be asked: give steps, or one map over a result")
    if not steps:
        refuse(flow, key, "it has nobody to ask: give steps, or a group")
    steps = list(dict.fromkeys(steps))
    if at_least is not None and at_least > len(steps):
        refuse(flow, key, f"at_least={at_least}: only {len(steps)} are asked")
    inputs: list[Any] = [Input(one, "=") for one in steps]
    return {"asked": [one.key for one in steps], **terms}, {"answers": inputs}


def _terms(flow: str, key: str, same: str, at_least: Any) -> dict[str, Any]:
    if same not in SAMENESS:
        refuse(flow, key, f"same={same!r:.40}: use one of {', '.join(SAMENESS)}")
    if at_least is None:
        return {"same": same}
    if not is_whole(at_least, 0):
        refuse(flow, key, f"at_least={at_least!r:.40}: give a number of answers; 0 needs none")
    return {"same": same, "at_least": at_least}


def synthesis(args: Mapping[str, Any]) -> dict[str, Any]:
    """What the node returns: `Synthesis.to_json()`. The same arguments give the same result.

    Raises TooFewAnswers, and InvalidArguments for what is no answer.
    """
    given, asked = args.get("answers"), args.get("asked")
    same = SAMENESS.get(str(args.get("same", "json")))
    if not isinstance(given, list) or same is None:
        raise InvalidArguments("There are no answers to put together, or same= is none we know.")
    names = asked if isinstance(asked, list) else [f"{asked}.{at}" for at in range(len(given))]
    if len(names) != len(given):
        raise InvalidArguments(f"There are {len(given)} answers of {len(names)} agents.")
    ended = [(str(name), one) for name, one in zip(names, given, strict=True) if not _left_out(one)]
    answers = [_answer(name, one["ok"]) for name, one in ended if "ok" in one]
    least = args.get("at_least")
    _check_enough(len(answers), len(ended), min(1, len(ended)) if least is None else least)
    return synthesize(answers, asked=[name for name, _ in ended], same=same).to_json()


def _check_enough(answered: int, asked: int, least: Any) -> None:
    if not isinstance(least, int):
        raise InvalidArguments(f"at_least={least!r:.40} is no number of answers.")
    if answered < least:
        raise TooFewAnswers(
            f"Of {asked} agents that were asked {answered} answered, and at least {least} must: "
            "look why the others failed, or ask with at_least=0 to go on without.",
            answered=answered,
            asked=asked,
            least=least,
        )


def _left_out(ended: Any) -> bool:
    if not isinstance(ended, Mapping) or not ended.keys() & {"ok", "error"}:
        raise InvalidArguments(f"{ended!r:.60} does not say how a task ended.")
    error = ended.get("error")
    reason = error.get("reason") if isinstance(error, Mapping) else ""
    return str(reason).partition(":")[0] == "skipped"


def _answer(agent: str, result: Any) -> Answer:
    if not isinstance(result, Mapping) or "value" not in result or not result.keys() <= _WORDS:
        return Answer(agent, result)
    evidence, about = result.get("evidence"), result.get("about")
    if about is not None and not isinstance(about, Mapping):
        _refuse(agent, f"`about` is {type(about).__name__}, not an object")
    if isinstance(evidence, str):
        evidence = [evidence]
    if evidence is not None and not isinstance(evidence, list):
        _refuse(agent, f"`evidence` is {type(evidence).__name__}, not a text or a list")
    return Answer(agent, result["value"], tuple(map(_piece, evidence or ())), about=about)


def _piece(evidence: Any) -> str:
    return evidence if isinstance(evidence, str) else json.dumps(evidence, ensure_ascii=False)


def _refuse(agent: str, why: str) -> NoReturn:
    raise InvalidArguments(f"The answer of {agent!r} cannot be read: {why}.", agent=agent)
