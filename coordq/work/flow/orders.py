"""From what is asked for in a flow to a template and arguments, checked as `enqueue` does it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from coordq.errors import InvalidArguments, InvalidFlow
from coordq.work.flow.refs import FROM
from coordq.work.flow.refusal import refuse
from coordq.work.flow.reserved import RESERVED
from coordq.work.flow.step import Either, Error, Group, Input, Step, Value
from coordq.work.options import Template, seconds
from coordq.work.payload import dump_args
from coordq.work.templates import Templates
from coordq.work.typed import TaskFunction

_ELSEWHERE: Final = {
    "id": "the flow gives its tasks their ids",
    "at": "a task starts when its parents have ended: put a timer before it, or use delay",
    "unique": "a key in the flow is unique already: enqueue a unique task from inside one",
    "unique_for": "a key in the flow is unique already: enqueue a unique task from inside one",
    "on_duplicate": "a flow's tasks have no unique keys",
    "on_full": "a flow is taken as a whole, whatever stands in its queues",
    "wait": "a flow is taken as a whole, whatever stands in its queues",
    "durability": "it is said for the whole flow, where it is run",
    "force": "it is said for the whole flow, where it is run",
}
_HOW_TO_SEND: Final = ("on_duplicate", "on_full", "wait", "durability", "force")
"""What a task's definition may say and no flow needs."""


NEAR: Final = 10
"""How deep in an argument a step is looked for, to say where it hides."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A task of a flow, checked."""

    name: str
    template: Template
    delay_ms: int
    args: bytes
    inputs: dict[str, Value]


class Orders:
    """Makes what the tasks of one flow need."""

    def __init__(self, flow: str, defaults: Mapping[str, Any]) -> None:
        self.flow = flow
        self._templates = Templates()
        self._defaults = dict(defaults)
        if self._defaults:
            self.template("", "default", self._defaults)

    def name_of(self, task: Any) -> str:
        """The name of a task that is given as a name or as a function. Raises InvalidFlow."""
        if isinstance(task, TaskFunction):
            return task.name
        if isinstance(task, str):
            if task.startswith(RESERVED):
                refuse(self.flow, task, f"names that begin with {RESERVED!r} are coordq's own")
            return task
        given = getattr(task, "__name__", repr(task))
        raise InvalidFlow(
            f"flow {self.flow!r}: {given!r:.60} is no task: give a task's name, or a function made "
            "with @agent.task.",
            flow=self.flow,
        )

    def ask(
        self,
        key: str,
        task: Any,
        args: Any,
        options: Mapping[str, Any],
        *,
        error_of: Step | None = None,
        later: str | None = None,
    ) -> Asked:
        """A task with its arguments, some of which may come from steps.

        error_of: the step whose failure `Flow.ERROR` stands for. later: one more parameter that is
        filled in elsewhere; "*" for all that are missing.

        Raises InvalidFlow, InvalidArguments, InvalidOption, PayloadTooLarge.
        """
        name = self.name_of(task)
        values, inputs = self._split(key, args, error_of)
        if isinstance(task, TaskFunction):
            name, values, asked = task.node(values, later=_later(task, values, inputs, later))
            sent = {what: value for what, value in asked.items() if what not in _HOW_TO_SEND}
            options = {**self._defaults, **sent, **options}
        elif self._defaults:
            options = {**self._defaults, **options}
        template, delay_ms = self.template(key, name, options)
        return Asked(name, template, delay_ms, self.dump(name, values, key), inputs)

    def own(
        self,
        key: str,
        name: str,
        args: Mapping[str, Any],
        inputs: dict[str, Value],
        options: Mapping[str, Any],
    ) -> Asked:
        """A task of coordq's own, where the flow's tasks are. Raises InvalidOption, InvalidFlow."""
        template, delay_ms = self.template(key, name, {**self._defaults, **options})
        return Asked(name, template, delay_ms, self.dump(name, args, key), inputs)

    def dump(self, name: str, values: Mapping[str, Any], key: str = "") -> bytes:
        """Arguments as JSON. Raises InvalidArguments, InvalidFlow, PayloadTooLarge."""
        try:
            return dump_args(name, values)
        except InvalidArguments as error:
            self._refuse_nested(key, values)
            raise error from None

    def template(self, key: str, name: str, options: Mapping[str, Any]) -> tuple[Template, int]:
        """The template for a task, and its delay in ms. Raises InvalidOption, InvalidFlow."""
        if not options:
            return self._templates.plain(name), 0
        for option in options:
            if option in _ELSEWHERE:
                refuse(self.flow, key, f"{option}= cannot be used in a flow: {_ELSEWHERE[option]}")
        delay = options.get("delay", 0)
        if delay:
            options = {what: value for what, value in options.items() if what != "delay"}
        return self._templates.of(name, options), math.ceil(seconds("delay", delay) * 1000)

    def _split(
        self, key: str, args: Any, error_of: Step | None
    ) -> tuple[dict[str, Any], dict[str, Value]]:
        """Arguments that are known, and those that come from steps."""
        if args is None:
            return {}, {}
        if not isinstance(args, Mapping):
            refuse(self.flow, key, f"arguments are a mapping by parameter, not {args!r:.60}")
        values: dict[str, Any] = {}
        inputs: dict[str, Value] = {}
        for name, value in args.items():
            found = self._value(key, name, value, error_of)
            if found is None:
                values[name] = [] if isinstance(value, Group) else value
            else:
                inputs[name] = found
        if FROM in values or FROM in inputs:
            refuse(self.flow, key, f"{FROM!r} is no parameter: give a step as the argument")
        return values, inputs

    def _value(self, key: str, name: str, value: Any, error_of: Step | None) -> Value | None:
        """What comes from steps; None for a plain value."""
        if isinstance(value, list | tuple):
            return self._list(key, name, value)
        if isinstance(value, Group):
            return value if value.over is not None or value.ends else None
        if isinstance(value, Error):
            if error_of is None:
                refuse(self.flow, key, f"{name}: Flow.ERROR is for fallbacks: use step.error")
            return Input(error_of, "!", value.path)
        return _one(value)

    def _list(
        self, key: str, name: str, value: list[Any] | tuple[Any, ...]
    ) -> list[Input | Either] | None:
        found = [_one(one) for one in value]
        steps = [one for one in found if one is not None]
        if steps and len(steps) < len(found):
            refuse(self.flow, key, f"{name} mixes steps with plain values: use two parameters")
        if any(isinstance(one, Group) for one in value):
            refuse(self.flow, key, f"{name} holds a group inside a list: give the group itself")
        return steps or None

    def _refuse_nested(self, key: str, values: Mapping[str, Any]) -> None:
        """Say so when an argument cannot be sent because a step is hidden in it."""
        for name, value in values.items():
            path = _find_step(value, name, 0)
            if path:
                refuse(
                    self.flow,
                    key,
                    f"{path} is a step inside an argument: give it as a parameter of its own, or "
                    "in a list of steps",
                )


def _later(
    task: TaskFunction[Any, Any], values: Mapping[str, Any], inputs: Any, later: str | None
) -> tuple[str, ...]:
    """The parameters of a task that are filled in when it is run."""
    if later == "*":
        task.handler.signature.resolve()
        return tuple(name for name in task.handler.signature.parameters if name not in values)
    return (*inputs, later) if later is not None else tuple(inputs)


def _one(value: Any) -> Input | Either | None:
    if isinstance(value, Step):
        return value.result
    return value if isinstance(value, Input | Either) else None


def _find_step(value: Any, path: str, depth: int) -> str:
    """Where in a value a step is; "" when nowhere near the top."""
    if isinstance(value, Step | Input | Either | Group | Error):
        return path
    inside: list[tuple[str, Any]] = []
    if isinstance(value, Mapping):
        inside = [(f"{path}.{name}", one) for name, one in value.items()]
    elif isinstance(value, list | tuple):
        inside = [(f"{path}[{at}]", one) for at, one in enumerate(value)]
    if depth == NEAR:
        return ""
    found = (_find_step(one, where, depth + 1) for where, one in inside)
    return next(filter(None, found), "")
