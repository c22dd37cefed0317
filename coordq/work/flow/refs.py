"""Inputs from parents: which parameters of a task are results of other tasks.

The arguments of a task may hold one key that is no parameter, `$from`:

    {"depth": 2, "$from": {"page": "<id>", "parts": ["<id>", "<id>/summary"], "why": "<id>!"}}

Each value is a ref, or a list of refs that becomes a list:

    <id>        the result of that task
    <id>?       its result, or null when it has none: it failed, was cancelled, skipped, or runs on
    <id>!       its error, an object with reason, type, message; null when it did not fail
    <id>=       how it ended: {"ok": <result>}, or {"error": <as above>} for any other end
    <id>*       the results of the tasks that its result lists by id, in order; null where one has
                none, and [] when it has none itself. How the tasks of a map over a result, which
                are not known before, are named. `<id>*=` says how each of them ended; when there is
                no list, only how the task itself did.
    <ref>/a/0   what stands at that path of it; `~1` is a "/" in a key, `~2` a "|", and `~0` a "~".
                With a `?` or `=` what is not there is null
    <ref>|<ref> the first of them that is not null; all count as if they had a `?`

A task that failed for good and has an alternative is followed to it, and so on, save for `!`.
Pure text here; who reads the results, and when, is the worker's business:

    wanted = ids_in(args)             # look these up, at once
    args = fill(args, found)          # found: id -> Outcome
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from coordq.errors import InvalidArguments
from coordq.ids import is_id

FROM: Final = "$from"
ID_LENGTH: Final = 22
MARKS: Final = ("", "?", "!", "=", "*", "*=")
MANY: Final = ("*", "*=")


@dataclass(frozen=True, slots=True)
class Ref:
    """One input, read."""

    id: str
    mark: str = ""
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.id}{self.mark}{''.join(f'/{_escaped(step)}' for step in self.path)}"


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1").replace("|", "~2")


def _plain(step: str) -> str:
    return step.replace("~2", "|").replace("~1", "/").replace("~0", "~")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended, as far as its children care."""

    state: str
    """succeeded, failed, cancelled, or another word while it has not ended."""
    result: Any = None
    error: dict[str, Any] | None = None


def read(text: object) -> tuple[Ref, ...]:
    """The ref that `text` spells, or several of which the first counts. Raises InvalidArguments."""
    return tuple(map(_read, text.split("|") if isinstance(text, str) else (text,)))


def _read(text: object) -> Ref:
    if isinstance(text, str):
        head, *path = text.split("/")
        task_id, mark = head[:ID_LENGTH], head[ID_LENGTH:]
        if is_id(task_id) and mark in MARKS:
            return Ref(task_id, mark, tuple(map(_plain, path)))
    raise InvalidArguments(
        f"{text!r:.60} is no input of a flow's task: write a task's id, and perhaps a path."
    )


def refs_in(args: Mapping[str, Any]) -> Iterator[Ref]:
    """Every ref of some arguments, in order. Raises InvalidArguments."""
    for value in _inputs(args).values():
        for one in value if isinstance(value, list) else (value,):
            yield from read(one)


def ids_in(args: Mapping[str, Any]) -> list[str]:
    """The tasks that some arguments look at, each once. Raises InvalidArguments."""
    return list(dict.fromkeys(ref.id for ref in refs_in(args)))


def listed_ids(args: Mapping[str, Any], found: Mapping[str, Outcome]) -> list[str]:
    """The tasks that are named by results of `found`, for refs with a `*`: to be looked up next."""
    every: Iterable[str] = (
        one
        for ref in refs_in(args)
        if ref.mark in MANY and ref.id in found
        for one in _listed(ref, found[ref.id])
    )
    return list(dict.fromkeys(every))


def fill(args: Mapping[str, Any], found: Mapping[str, Outcome]) -> dict[str, Any]:
    """Arguments with every input in its place.

    found: how each task of `ids_in` and `listed_ids` ended, alternatives followed already; one
    that is not there is treated as not ended. Raises InvalidArguments for a plain ref without
    a result, and for a path that leads nowhere.
    """
    filled = {name: value for name, value in args.items() if name != FROM}
    for name, value in _inputs(args).items():
        if isinstance(value, list):
            filled[name] = [_first(name, read(one), found) for one in value]
        else:
            filled[name] = _first(name, read(value), found)
    return filled


def _first(name: str, refs: tuple[Ref, ...], found: Mapping[str, Outcome]) -> Any:
    if len(refs) == 1:
        return _value(name, refs[0], found)
    lenient = (Ref(ref.id, ref.mark or "?", ref.path) for ref in refs)
    values = (_value(name, ref, found) for ref in lenient)
    return next((value for value in values if value is not None), None)


def _inputs(args: Mapping[str, Any]) -> Mapping[str, Any]:
    inputs = args.get(FROM, {})
    if not isinstance(inputs, Mapping):
        raise InvalidArguments(f"{FROM} is {type(inputs).__name__}, not a mapping of parameters.")
    return inputs


_UNKNOWN: Final = Outcome("unknown")


def _value(name: str, ref: Ref, found: Mapping[str, Outcome]) -> Any:
    outcome = found.get(ref.id, _UNKNOWN)
    if ref.mark == "!":
        return _at(name, ref, outcome.error) if outcome.error is not None else None
    if ref.mark == "*":
        ended = [found.get(one, _UNKNOWN) for one in _listed(ref, outcome)]
        return [_at(name, ref, one.result) if _succeeded(one) else None for one in ended]
    if ref.mark == "=":
        return _at(name, ref, _settled(outcome))
    if ref.mark == "*=":
        ids = _listed(ref, outcome)
        every = [found.get(one, _UNKNOWN) for one in ids] if _succeeded(outcome) else [outcome]
        return [_at(name, ref, _settled(one)) for one in every]
    if not _succeeded(outcome):
        if ref.mark == "?":
            return None
        raise InvalidArguments(
            f"argument {name!r}: task {ref.id} is {outcome.state} and has no result.",
            parameter=name,
            id=ref.id,
        )
    return _at(name, ref, outcome.result)


def _succeeded(outcome: Outcome) -> bool:
    return outcome.state == "succeeded"


def _settled(outcome: Outcome) -> dict[str, Any]:
    if _succeeded(outcome):
        return {"ok": outcome.result}
    return {"error": outcome.error or {"reason": outcome.state}}


def _listed(ref: Ref, outcome: Outcome) -> list[str]:
    ids = outcome.result
    if not _succeeded(outcome):
        return []
    if not isinstance(ids, list) or not all(isinstance(one, str) and is_id(one) for one in ids):
        raise InvalidArguments(f"the result of task {ref.id} is no list of tasks.", id=ref.id)
    return ids


def _at(name: str, ref: Ref, value: Any) -> Any:
    for depth, step in enumerate(ref.path, 1):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        elif ref.mark in ("?", "=", "*="):
            return None
        else:
            raise InvalidArguments(
                f"argument {name!r}: the result of task {ref.id} has nothing at "
                f"{'/'.join(ref.path[:depth])!r}.",
                parameter=name,
                id=ref.id,
            )
    return value
