"""From a call to a JSON object and back: a handler's parameters.

Arguments travel as a JSON object keyed by parameter name. The producer binds a call to the
signature, validates it by the type hints and turns it into JSON; the worker validates that JSON
into the values the handler was written for. bytes travel as base64. What JSON cannot say (NaN,
infinity, half a surrogate pair, a key that is not text where no hint says how to read it back) is
refused, never bent. The context and the dependencies are not arguments: they do not travel.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from coordq.errors import ForeignData, InvalidAgent, InvalidArguments
from coordq.work.depends import (
    Dependency,
    HintMissing,
    Plan,
    dependency_of,
    is_context,
    make_plan,
    resolve_hint,
)
from coordq.work.hints import (
    EXTRA,
    ArgumentCodec,
    ResultCodec,
    ResultNotJSON,
    Unfit,
    check_json,
    check_result,
    compile_arguments,
    compile_result,
    first_line,
    short,
)

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_EMPTY: Final = inspect.Parameter.empty
_BY_POSITION: Final = inspect.Parameter.POSITIONAL_OR_KEYWORD


@dataclass(frozen=True, slots=True)
class Shape:
    """What a function takes, as far as it can be seen without resolving its hints."""

    fn: Callable[..., Any]
    wants_context: bool
    parameters: tuple[inspect.Parameter, ...]
    """Arguments and dependencies alike; the context is not among them."""
    extra: Any
    """The hint of **kwargs, or Parameter.empty when there are none."""
    returns: Any


def read_shape(fn: Callable[..., Any], *, task: str) -> Shape:
    """The shape of a handler. Raises InvalidAgent for one that cannot be called with JSON."""
    signature = inspect.signature(fn)
    parameters = list(signature.parameters.values())
    wants_context = _take_context(parameters)
    extra: Any = _EMPTY
    if parameters and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD:
        last = parameters.pop()
        extra = Any if last.annotation is _EMPTY else last.annotation
    for parameter in parameters:
        _check_parameter(parameter, task)
    returns = signature.return_annotation
    return Shape(fn, wants_context, tuple(parameters), extra, Any if returns is _EMPTY else returns)


def _take_context(parameters: list[inspect.Parameter]) -> bool:
    """Remove the first parameter if it asks for the context, and say whether it did."""
    if not parameters or parameters[0].kind not in (
        inspect.Parameter.POSITIONAL_ONLY,
        _BY_POSITION,
    ):
        return False
    if not is_context(parameters[0].name, parameters[0].annotation):
        return False
    del parameters[0]
    return True


def _check_parameter(parameter: inspect.Parameter, task: str) -> None:
    name = parameter.name
    if parameter.kind is parameter.VAR_POSITIONAL:
        why = f"*{name} has no names to be sent under: take a list instead"
    elif parameter.kind is parameter.POSITIONAL_ONLY:
        why = f"{name!r} is positional-only, but arguments travel by name: remove the '/'"
    elif name in ("self", "cls"):
        why = f"it has a parameter {name!r}: a task is a function, not a method"
    elif is_context(name, parameter.annotation):
        why = f"the context {name!r} must be the first parameter"
    elif type(parameter.default).__module__.partition(".")[0] == "pydantic":
        why = f"{name!r} has a pydantic Field as its default: write Annotated[..., Field(...)]"
    else:
        return
    raise InvalidAgent(f"task {task!r}: {why}.", task=task, parameter=name)


class Signature:
    """What a task takes and gives. Hints are resolved at definition, and compiled on first use.

    Raises InvalidAgent at definition for parameters that cannot be sent and for dependencies that
    cannot be provided. Hints that mention names defined further down are resolved on first use.
    """

    __slots__ = (
        "_always",
        "_arguments",
        "_names",
        "_partial",
        "_positional",
        "_resolved",
        "_result",
        "batched",
        "extra",
        "parameters",
        "passes_over",
        "plan",
        "required",
        "returns",
        "shape",
        "task",
    )

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        task: str,
        always: Sequence[Dependency] = (),
        names: Mapping[str, Any] | None = None,
        batched: bool = False,
    ) -> None:
        self.task = task
        self.batched = batched
        """Whether the function takes lists, with one entry for each task: see `batch.py`."""
        self.passes_over = False
        """Whether fields that it has no parameter for are passed over when it is called."""
        self.shape = read_shape(fn, task=task)
        self.parameters: dict[str, Any] = {}
        """Hints of the arguments, by name."""
        self.required: frozenset[str] = frozenset()
        self.extra: Any = _EMPTY
        self.returns: Any = Any
        self.plan = Plan()
        self._always = tuple(always)
        self._names: dict[str, Any] = {}
        self._positional: tuple[str, ...] = ()
        self._arguments: ArgumentCodec | None = None
        self._partial: dict[frozenset[str], ArgumentCodec] = {}
        self._result: ResultCodec | None = None
        self._resolved = False
        try:
            self._resolve(names or {})
        except HintMissing:
            self._names = dict(names or {})

    # Definition

    def resolve(self) -> None:
        """Look up the hints, if that is still to be done. Raises InvalidAgent for a missing one."""
        if self._resolved:
            return
        try:
            self._resolve(self._names)
        except HintMissing as error:
            raise InvalidAgent(
                f"task {self.task!r}: a type hint cannot be found: {error}.", task=self.task
            ) from error
        self._names = {}

    def prepare(self) -> None:
        """Compile everything now, not on first use. Raises InvalidAgent for unusable hints."""
        self.resolve()
        self._result = self._result or compile_result(self.task, self.returns)
        self._arguments = self._arguments or compile_arguments(
            self.task, self.parameters, self.required, self.extra, passes_over=self.passes_over
        )

    def _resolve(self, names: Mapping[str, Any]) -> None:
        fn, shape = self.shape.fn, self.shape
        hints: dict[str, Any] = {}
        wanted: dict[str, Dependency] = {}
        for parameter in shape.parameters:
            untyped = parameter.annotation is _EMPTY
            hint = Any if untyped else resolve_hint(parameter.annotation, fn, names)
            dependency = dependency_of(hint, parameter.default)
            if dependency is None:
                hints[parameter.name] = hint
            else:
                wanted[parameter.name] = dependency
        self.returns = resolve_hint(shape.returns, fn, names)
        self.extra = _EMPTY if shape.extra is _EMPTY else resolve_hint(shape.extra, fn, names)
        self.plan = make_plan(wanted, always=self._always, names=names)
        self.parameters = hints
        arguments = [one for one in shape.parameters if one.name in hints]
        self.required = frozenset(one.name for one in arguments if one.default is _EMPTY)
        self._positional = tuple(one.name for one in arguments if one.kind is _BY_POSITION)
        if self.batched:
            self._unpack()
        self._resolved = True

    def _unpack(self) -> None:
        """Turn the hints of a function that takes batches into those of one task."""
        from coordq.work.batch import entry, entry_result

        if not self.parameters or self.extra is not _EMPTY:
            raise InvalidAgent(
                f"task {self.task!r}: a batch needs parameters, each with a name.", task=self.task
            )
        self.parameters = {
            name: entry(self.task, name, hint, required=name in self.required)
            for name, hint in self.parameters.items()
        }
        self.returns = entry_result(self.returns)

    # The producer's side

    def bind(
        self, args: Sequence[Any], given: Mapping[str, Any], *, later: Collection[str] = ()
    ) -> dict[str, Any]:
        """A call's arguments as JSON values by parameter name; what was left out stays out.

        later: parameters that get their value when the task is run.

        Raises InvalidArguments with the facts task, parameter and problem.
        """
        codec = self._codec_without(frozenset(later)) if later else self._codec()
        named = self._by_name(args, given)
        try:
            values = codec.from_python(named)
        except Exception as error:  # noqa: BLE001 - validators are the user's code
            raise self._refusal(error) from None
        for name, value in values.items():
            hinted = name if name in self.parameters else EXTRA
            self._check(name, value, exact=hinted in codec.exact)
        try:
            return codec.to_jsonable(values)
        except Exception as error:
            culprit, why = self._culprit(codec, values, error)
            raise self._refused(culprit, f"it cannot be written as JSON: {why}") from error

    def _codec(self) -> ArgumentCodec:
        if self._arguments is None:
            self.prepare()
        assert self._arguments is not None
        return self._arguments

    def _codec_without(self, later: frozenset[str]) -> ArgumentCodec:
        """What reads the other arguments. Raises InvalidArguments for a parameter it has not."""
        known = self._codec()
        for name in later:
            if name not in self.parameters and self._is_internal(name):
                raise self._refused(name, "it is provided by the worker and cannot be sent")
            if name not in self.parameters and self.extra is _EMPTY:
                raise self._refused(name, self._no_such_parameter())
        if not later & self.required:
            return known
        if later not in self._partial:
            hints = {name: hint for name, hint in self.parameters.items() if name not in later}
            self._partial[later] = compile_arguments(
                self.task, hints, self.required - later, self.extra
            )
        return self._partial[later]

    def _by_name(self, args: Sequence[Any], given: Mapping[str, Any]) -> dict[str, Any]:
        if len(args) > len(self._positional):
            raise self._refused(
                "", f"it takes {len(self._positional)} by position, but {len(args)} were given"
            )
        named = dict(zip(self._positional, args, strict=False))
        for name, value in given.items():
            if name in named:
                raise self._refused(name, "it is given twice, by position and by name")
            named[name] = value
        for name in named:
            if name not in self.parameters and self._is_internal(name):
                raise self._refused(name, "it is provided by the worker and cannot be sent")
        return named

    def _is_internal(self, name: str) -> bool:
        return any(one.name == name for one in self.shape.parameters)

    def _check(self, name: str, value: object, *, exact: bool) -> None:
        try:
            check_json(value, exact=exact)
        except Unfit as error:
            raise self._refused(name, str(error)) from None

    @staticmethod
    def _culprit(
        codec: ArgumentCodec, values: Mapping[str, Any], error: Exception
    ) -> tuple[str, str]:
        """Which argument could not be written, and why."""
        for name, value in values.items():
            try:
                codec.to_jsonable({name: value})
            except Exception as own:  # noqa: BLE001 - any failure names the culprit
                return name, first_line(own)
        return "", first_line(error)

    # The worker's side

    def bind_json(self, args: bytes) -> dict[str, Any]:
        """The values to call the handler with. A few microseconds, on most signatures less.

        Raises InvalidArguments with the facts task, parameter and problem.
        """
        codec = self._arguments or self._codec()
        try:
            return codec.from_json(args)
        except Exception as error:  # noqa: BLE001 - validators are the user's code
            raise self._refusal(error) from None

    def dump_result(self, value: Any) -> bytes:
        """A result as JSON text, written by the return annotation.

        Raises ResultNotJSON when it cannot be written.
        """
        if self._result is None:
            self.prepare()
        assert self._result is not None
        try:
            body = self._result.dump(value)
            check_result(body)
        except Exception as error:
            raise ResultNotJSON(
                f"task {self.task!r} returned a {type(value).__name__} that is not JSON:"
                f" {first_line(error)}.",
                task=self.task,
            ) from error
        return body

    def load_result(self, value: Any) -> Any:
        """A result's JSON value as the return annotation says, for the producer.

        Raises ForeignData when it does not fit: perhaps another version of the code ran.
        """
        if self._result is None:
            self.prepare()
        assert self._result is not None
        try:
            return self._result.load(value)
        except Exception as error:
            raise ForeignData(
                f"the result of task {self.task!r} does not fit its return annotation"
                f" {self.returns}: {first_line(error)}.",
                task=self.task,
            ) from error

    # Saying no

    def _refusal(self, error: Exception) -> InvalidArguments:
        details = getattr(error, "errors", None)
        if details is None:
            return self._refused("", f"they cannot be checked: {first_line(error)}")
        found: list[ErrorDetails] = details(include_url=False, include_context=False)
        first, more = found[0], len(found) - 1
        path = ".".join(str(part) for part in first["loc"])
        name = str(first["loc"][0]) if first["loc"] else ""
        problem = self._problem(first, nested=len(first["loc"]) > 1)
        if more:
            problem += f" (and {more} more problem{'s' if more > 1 else ''})"
        return self._refused(name, problem, path=path)

    def _problem(self, details: ErrorDetails, *, nested: bool) -> str:
        if not nested and details["type"] == "missing":
            return "it is required, but was not given"
        if not nested and details["type"] == "extra_forbidden":
            return self._no_such_parameter()
        if not nested and details["type"] == "json_invalid":
            return details["msg"]
        return f"{details['msg']}, but it is {short(details['input'])}"

    def _no_such_parameter(self) -> str:
        return f"there is no such parameter. It takes: {', '.join(self.parameters) or 'none'}"

    def _refused(self, name: str, problem: str, *, path: str = "") -> InvalidArguments:
        shown = short(path or name)
        where = f"argument {shown}" if shown != "''" else "arguments"
        return InvalidArguments(
            f"task {self.task!r}, {where}: {problem}.",
            task=self.task,
            parameter=name,
            problem=problem,
        )
