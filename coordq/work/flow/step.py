"""What a flow's builder hands out: steps, what comes out of them, and groups of them.

A Step stands for a task that has not run yet. Given as an argument to a later task it means its
result; `step["files"][0]` means a part of that, `step.error` why it failed, `step.or_none` the
result if there is one, and `fast | deep` the first of both that there is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from coordq.errors import InvalidFlow
from coordq.work.flow.condition import Condition
from coordq.work.flow.refusal import refuse
from coordq.work.options import Template


class Maker(Protocol):
    """What a step wants of the flow that it belongs to."""

    name: str

    def join(self, task: Any, /, of: Any, args: Any = None, **options: Any) -> Step: ...
    def is_expander(self, step: Step) -> bool: ...


@dataclass(frozen=True, slots=True)
class Input:
    """What comes out of a step, or a part of it."""

    step: Step
    mark: str = ""
    """As in `refs.py`."""
    path: tuple[str, ...] = ()

    def __getitem__(self, part: str | int) -> Input:
        """A field of it, or a member by its number from 0."""
        if isinstance(part, bool) or not isinstance(part, str | int):
            refuse(
                self.step.flow.name, self.step.key, f"[{part!r}] is neither a field nor a number"
            )
        if isinstance(part, int) and part < 0:
            refuse(self.step.flow.name, self.step.key, f"[{part}]: count from the start, from 0")
        return Input(self.step, self.mark, (*self.path, str(part)))

    __iter__ = None
    """Whether it is a list is known when it has run: `flow.map` goes through it then."""

    def __or__(self, other: Step | Input | Either) -> Either:
        return Either((self, *_inputs(other)))


@dataclass(frozen=True, slots=True)
class Either:
    """The first of several results that there is: for a task after a branch."""

    inputs: tuple[Input, ...]

    def __or__(self, other: Step | Input | Either) -> Either:
        return Either((*self.inputs, *_inputs(other)))


def _inputs(value: Any) -> tuple[Input, ...]:
    if isinstance(value, Either):
        return value.inputs
    if isinstance(value, Step):
        return (value.result,)
    if isinstance(value, Input):
        return (value,)
    raise InvalidFlow(f"{value!r:.60} cannot stand beside a step's result: write step | step.")


@dataclass(frozen=True, slots=True)
class Error:
    """Stands, in the arguments of a fallback, for why the task before it failed; or a part of that.

    `Flow.ERROR` is an object with reason, type and message, `Flow.ERROR["message"]` a text.
    """

    path: tuple[str, ...] = ()

    def __getitem__(self, part: str) -> Error:
        return Error((*self.path, str(part)))

    __iter__ = None
    """See Input."""


ERROR = Error()


@dataclass(frozen=True, slots=True)
class Link:
    """A step to come after, and when; made by `step.link(...)`."""

    step: Step
    on: str | None = None
    if_failed: str | None = None
    when: Condition | str | None = None


class Step:
    """A task of a flow that is being built."""

    __slots__ = ("flow", "key", "kind", "name")

    def __init__(self, flow: Maker, key: str, name: str, kind: str = "task") -> None:
        self.flow = flow
        self.key = key
        """Its name in the flow."""
        self.name = name
        """The name of its task."""
        self.kind = kind
        """task, approval, signal or timer."""

    @property
    def result(self) -> Input:
        """Its result; the step itself says the same."""
        return Input(self)

    @property
    def error(self) -> Input:
        """Why it failed: an object with reason, type and message; null when it did not."""
        return Input(self, "!")

    @property
    def or_none(self) -> Input:
        """Its result, or null when it has none."""
        return Input(self, "?")

    def __getitem__(self, part: str | int) -> Input:
        """A part of its result."""
        return self.result[part]

    __iter__ = None
    """See Input."""

    def __or__(self, other: Step | Input | Either) -> Either:
        return self.result | other

    @property
    def settled(self) -> Input:
        """How it ended: {"ok": <result>} or {"error": ...}, which is an edge after any end."""
        return Input(self, "=")

    def link(
        self,
        *,
        on: str | None = None,
        if_failed: str | None = None,
        when: Condition | str | None = None,
    ) -> Link:
        """The step with conditions of its own, to stand in another's `after`."""
        return Link(self, on, if_failed, when)

    def __repr__(self) -> str:
        named = "" if self.key == self.name else f" ({self.name})"
        return f"<Step {self.key}{named} of flow {self.flow.name}>"


class Group(Sequence[Step]):
    """Steps in order. As an argument it means the list of their results, in the same order."""

    def __init__(
        self,
        flow: Maker,
        steps: Sequence[Step],
        *,
        over: Step | None = None,
        mark: str = "",
    ) -> None:
        self.flow = flow
        self._steps = tuple(steps)
        self.over = over
        """For a map over a result: the step that will make its tasks; then there are none yet."""
        self.mark = mark
        """What is taken of each when it is an argument, as in `refs.py`."""

    @property
    def ends(self) -> tuple[Step, ...]:
        """What has to end before all of it has."""
        return self._steps if self.over is None else (self.over,)

    @property
    def settled(self) -> Group:
        """As an argument: how each of them ended, {"ok": <result>} or {"error": ...}, in order."""
        return Group(self.flow, self._steps, over=self.over, mark="=")

    @property
    def either(self) -> Either:
        """As an argument: the first of their results that there is, in order.

        For a task with `first=1`, which starts when one has succeeded, that is the one's.
        """
        if not self:
            raise InvalidFlow(f"flow {self.flow.name!r}: an empty group has no result to take.")
        return Either(tuple(one.result for one in self))

    def reduce(
        self, task: Any, /, args: Any = None, *, into: str = "parts", **options: Any
    ) -> Step:
        """A task that takes all results as a list under the parameter `into`; as Flow.task."""
        return self.flow.join(task, self, args, into=into, **options)

    def __len__(self) -> int:
        self._known()
        return len(self._steps)

    def __iter__(self) -> Iterator[Step]:
        self._known()
        return iter(self._steps)

    def __getitem__(self, which: Any) -> Any:
        """A step by its number, or by its key."""
        self._known()
        if not isinstance(which, str):
            return self._steps[which]
        found = [one for one in self._steps if one.key == which or one.key.endswith(f".{which}")]
        if len(found) != 1:
            refuse(self.flow.name, which, "the group has no such step, or several")
        return found[0]

    def _known(self) -> None:
        if self.over is not None:
            refuse(
                self.flow.name,
                self.over.key,
                "its tasks are known when its input is: use .reduce, or the group as an argument",
            )

    def __repr__(self) -> str:
        tasks = f"over {self.over.key}" if self.over is not None else f"of {len(self._steps)}"
        return f"<Group {tasks} in flow {self.flow.name}>"


Value = Input | Either | Group | list[Input | Either]
"""What a parameter is filled with when the task runs."""


def inputs_of(value: Value) -> tuple[Input, ...]:
    """Every single input of a value; those of a group are of its ends."""
    if isinstance(value, Input):
        return (value,)
    if isinstance(value, Either):
        return value.inputs
    if isinstance(value, Group):
        return tuple(Input(one, value.mark) for one in value.ends)
    return tuple(inner for one in value for inner in inputs_of(one))


@dataclass(slots=True)
class Tie:
    """An edge that is being built."""

    on: str = "success"
    policy: str = "fail"
    condition: Condition | None = None


@dataclass(slots=True, eq=False)
class Member:
    """All that is known about a step while its flow is built."""

    step: Step
    template: Template
    args: bytes
    """Its arguments, without inputs."""
    inputs: dict[str, Value] = field(default_factory=dict)
    delay_ms: int = 0
    ties: dict[Step, Tie] = field(default_factory=dict)
    want: int = 0
    early: bool = False
    cancel_losers: bool = False
    fallback: Step | None = None
    stands_for: Step | None = None
    signal: str = ""
    hears: str = ""
    """success or failure: a callback, which comes after everything that ends so."""
    each: dict[str, Any] | None = None
    """Of an expander: what is known of its tasks, see `expand.py`."""
    each_inputs: dict[str, Value] = field(default_factory=dict)
