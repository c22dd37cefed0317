"""Batches: one call of a handler for many tasks.

    @agent.task(batch=Batch(size=100, delay=0.5))
    async def embed(text: list[str]) -> list[list[float]]: ...

    embed.enqueue(client, "hello")

Each task is a task of its own: its own arguments, result, attempts and claim. Only the call is
shared. So each parameter of the handler is a list with one entry per task, in the same order in
all of them, and what the producer gives, and gets back, is one entry. A call for many keeps, makes
and waits for nothing in the name of one: ctx.checkpoint, ctx.spawn and waits raise NotDurable.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from coordq.amounts import is_number, is_whole
from coordq.errors import InvalidAgent, InvalidOption

SIZE_MAX: Final = 4096
DELAY_MAX_S: Final = 60.0
BYTES_MAX: Final = 256 * 1024 * 1024
_LISTS: Final = (list, typing.get_origin(Sequence[int]))
_UNIONS: Final = (typing.Union, types.UnionType)


@dataclass(frozen=True, slots=True)
class Batch:
    """How tasks are gathered for one call.

    Raises InvalidOption.
    """

    size: int = 100
    """Tasks in one call, at most. A worker child gathers what it holds: more than its concurrency
    never come together."""
    delay: float | timedelta = 0.5
    """Seconds that the first may wait for others. 0: whatever was claimed together."""
    bytes: int = 1024 * 1024
    """Of arguments, as JSON, in one call; a single task may take more."""

    def __post_init__(self) -> None:
        delay = self.delay.total_seconds() if isinstance(self.delay, timedelta) else self.delay
        _check("size", self.size, 1, SIZE_MAX)
        _check("delay", delay, 0, DELAY_MAX_S)
        _check("bytes", self.bytes, 1, BYTES_MAX)

    @property
    def delay_s(self) -> float:
        """The delay in seconds."""
        return self.delay.total_seconds() if isinstance(self.delay, timedelta) else self.delay


def _check(option: str, value: object, least: int, most: float) -> None:
    whole = option != "delay"
    if not (is_whole if whole else is_number)(value, least, most):
        raise InvalidOption(
            f"Batch({option}={value!r}): use a {'whole number' if whole else 'number'} from {least}"
            f" to {most:,}.",
            option=option,
        )


def batch_of(task: str, given: object, isolation: str) -> Batch | None:
    """A handler's batch, checked. Raises InvalidAgent."""
    if given is None or isinstance(given, Batch):
        if given is not None and isolation != "none":
            raise InvalidAgent(
                f"task {task!r}: a batch cannot run with isolation='process': its tasks are stopped"
                " one by one.",
                task=task,
            )
        return given
    raise InvalidAgent(
        f"task {task!r}: batch={given!r:.80} is no Batch(size=..., delay=..., bytes=...).",
        task=task,
    )


def entry(task: str, parameter: str, hint: Any, *, required: bool) -> Any:
    """What one task gives for a parameter of a batch. Raises InvalidAgent if that is no list."""
    if hint is Any or hint is list:
        found: Any = Any
    elif typing.get_origin(hint) in _LISTS:
        (found,) = typing.get_args(hint)
    else:
        raise InvalidAgent(
            f"task {task!r}: {parameter!r} takes one entry for each task of a batch: annotate it as"
            f" list[...], not {getattr(hint, '__name__', hint)}.",
            task=task,
            parameter=parameter,
        )
    if not required:
        raise InvalidAgent(
            f"task {task!r}: {parameter!r} has a default, which would be that of the whole batch.",
            task=task,
            parameter=parameter,
        )
    return found


def entry_result(hint: Any) -> Any:
    """What one task gets of the results of a batch: without None for all, and without signals."""
    if typing.get_origin(hint) in _UNIONS:
        parts = [part for part in typing.get_args(hint) if part is not type(None)]
        return entry_result(parts[0]) if len(parts) == 1 else Any
    if typing.get_origin(hint) not in _LISTS:
        return Any if hint is list else hint
    return _without_errors(typing.get_args(hint)[0])


def _without_errors(hint: Any) -> Any:
    if typing.get_origin(hint) not in _UNIONS:
        return hint
    parts = [part for part in typing.get_args(hint) if not _is_error(part)]
    return typing.Union[tuple(parts)] if parts else Any  # noqa: UP007 - made of what was found


def _is_error(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseException)


def columns(entries: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The arguments of all tasks of a batch, as its handler takes them."""
    return {name: [one[name] for one in entries] for name in entries[0]}
