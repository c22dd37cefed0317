"""Type hints, compiled into what reads and writes JSON.

Plain hints (text, numbers, lists, objects, Any) go straight to pydantic-core: that is quick to
build and keeps pydantic itself, some megabytes, out of workers that do not need it. Any other
hint is handed to pydantic, which is imported only then.
"""

from __future__ import annotations

import dataclasses
import json
import math
import reprlib
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from inspect import Parameter
from types import NoneType, UnionType
from typing import Any, Final

from coordq.errors import InvalidAgent, InvalidInput
from coordq.work.payload import DEPTH_MAX

if typing.TYPE_CHECKING:
    from pydantic_core import CoreSchema
    from pydantic_core.core_schema import ExtraBehavior

INT_BITS_MAX: Final = 14_000
"""Whole numbers up to about 4,200 digits: beyond, JSON readers give up."""
EXTRA: Final = "**"
"""Stands for whatever **kwargs takes."""
VALUES_MAX: Final = 2**20
"""Single values in one argument: more cannot be said within the size limit anyway."""
CONFIG: Final = {
    "extra": "forbid",
    "allow_inf_nan": False,
    "ser_json_bytes": "base64",
    "val_json_bytes": "base64",
    "ser_json_inf_nan": "constants",
}


class ResultNotJSON(InvalidInput):
    """A handler returned something that JSON cannot say."""

    code = "result-not-json"


class Unfit(ValueError):
    """A value that JSON cannot carry; the message says why."""


# Values


def check_json(value: object, *, exact: bool) -> None:
    """Raise Unfit when `value` holds what JSON cannot carry, at any depth.

    With `exact`, nothing stands by to turn keys that are not text, or bytes, back into what they
    were, so those are refused as well.
    """
    stack, left = [(value, 1)], VALUES_MAX
    while stack:
        item, depth = stack.pop()
        inner = _check_one(item, exact=exact)
        if inner is None:
            continue
        if depth > DEPTH_MAX:
            raise Unfit(f"it is nested more than {DEPTH_MAX} levels deep, or contains itself")
        left -= len(inner)
        if left < 0:
            raise Unfit(f"it holds more than {VALUES_MAX:,} values")
        stack.extend((part, depth + 1) for part in inner)


def _check_one(item: object, *, exact: bool) -> Collection[object] | None:
    """Check one value; the values inside it, or None when there is no inside."""
    if item is None or item is True or item is False:
        return None
    if isinstance(item, str | int | float):
        _check_scalar(item)
        return None
    if isinstance(item, dict):
        _check_keys(item, exact=exact)
        return item.values()
    if isinstance(item, list | tuple | set | frozenset):
        return item
    if exact and isinstance(item, bytes | bytearray | memoryview):
        raise Unfit("bytes are not JSON: annotate the parameter as bytes, or send text")
    if exact and hasattr(item, "__next__"):
        raise Unfit(f"a {type(item).__name__} can be read only once: make a list of it")
    return _members(item)


def _check_scalar(item: str | int | float) -> None:  # noqa: PYI041 - mypy tells them apart
    if isinstance(item, str):
        _check_text(item)
    elif isinstance(item, int):
        if item.bit_length() > INT_BITS_MAX:
            raise Unfit("a whole number of more than 4,200 digits cannot be read back")
    elif not math.isfinite(item):
        raise Unfit(f"{item} is not JSON")


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Unfit("text holds half a surrogate pair, which is not Unicode") from error


def _check_keys(mapping: Mapping[object, object], *, exact: bool) -> None:
    for key in mapping:
        if isinstance(key, str):
            _check_text(key)
        elif exact:
            raise Unfit(f"the key {short(key)} is not text")


def _members(item: object) -> Collection[object] | None:
    """What a model or a dataclass holds."""
    if isinstance(item, type):
        return None
    if hasattr(type(item), "__pydantic_fields__") and hasattr(item, "__dict__"):
        return vars(item).values()
    if dataclasses.is_dataclass(item):
        return [getattr(item, part.name, None) for part in dataclasses.fields(item)]
    return None


class _Short(reprlib.Repr):
    """Bounded in every direction: the whole repr of a value may take for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxother = self.maxlong = 80


_SHORT: Final = _Short()


def short(value: object, most: int = 80) -> str:
    """`value` as it may be shown in a message: bounded, on one line, and never an error itself."""
    try:
        text = _SHORT.repr(value)
    except Exception:  # noqa: BLE001 - a strange __repr__ must not hide the real problem
        text = f"<{type(value).__name__}>"
    text = " ".join(text.encode(errors="replace").decode().split())
    return text if len(text) <= most else text[: most - 3] + "..."


# Plain hints


def plain(hint: Any) -> CoreSchema | None:
    """The pydantic-core schema of a plain hint; None when it takes pydantic to understand it."""
    from pydantic_core import core_schema

    simple: dict[Any, Callable[[], CoreSchema]] = {
        Any: core_schema.any_schema,
        object: core_schema.any_schema,
        str: core_schema.str_schema,
        int: core_schema.int_schema,
        bool: core_schema.bool_schema,
        None: core_schema.none_schema,
        NoneType: core_schema.none_schema,
        list: core_schema.list_schema,
        dict: lambda: core_schema.dict_schema(core_schema.str_schema()),
        float: lambda: core_schema.float_schema(allow_inf_nan=False),
    }
    try:
        return simple[hint]()
    except (KeyError, TypeError):
        return _plain_generic(hint)


def _plain_generic(hint: Any) -> CoreSchema | None:
    """list[plain], dict[str, plain] and unions of plain hints."""
    from pydantic_core import core_schema

    origin = typing.get_origin(hint)
    inner = [plain(part) for part in typing.get_args(hint)]
    if not inner or any(schema is None for schema in inner):
        return None
    parts = [schema for schema in inner if schema is not None]
    if origin is list:
        return core_schema.list_schema(parts[0])
    if origin is dict and typing.get_args(hint)[0] is str:
        return core_schema.dict_schema(parts[0], parts[1])
    if origin is UnionType or origin is typing.Union:
        return core_schema.union_schema(list(parts))
    return None


# Arguments


@dataclass(frozen=True, slots=True)
class ArgumentCodec:
    """Reads and writes one handler's arguments. The validators raise pydantic's ValidationError."""

    from_json: Callable[[bytes], dict[str, Any]]
    from_python: Callable[[dict[str, Any]], dict[str, Any]]
    to_jsonable: Callable[[dict[str, Any]], dict[str, Any]]
    exact: frozenset[str]
    """Parameters whose hints do not say how to read back keys or bytes; "**" for the others."""


def compile_arguments(
    task: str,
    parameters: Mapping[str, Any],
    required: Collection[str],
    extra: Any,
    *,
    passes_over: bool = False,
) -> ArgumentCodec:
    """The codec for an object with these parameters; `extra` is the hint of any others.

    passes_over: without such a hint others are left out, instead of refused.

    Raises InvalidAgent, naming the parameter, for a hint that nothing can read or write.
    """
    schemas = {name: plain(hint) for name, hint in parameters.items()}
    exact = frozenset(name for name, schema in schemas.items() if schema is not None)
    rest = None if extra is Parameter.empty else plain(extra)
    if rest is not None:
        exact |= {EXTRA}
    if None not in schemas.values() and (extra is Parameter.empty or rest is not None):
        return _plain_arguments(schemas, required, rest, exact, passes_over=passes_over)
    shape, validator = _typed_arguments(task, parameters, required, extra, passes_over=passes_over)

    def to_jsonable(values: dict[str, Any]) -> dict[str, Any]:
        return dict(_serializer(shape).to_python([values], mode="json", warnings="none")[0])

    return ArgumentCodec(validator.validate_json, validator.validate_python, to_jsonable, exact)


@cache
def _serializer(shape: Any) -> Any:
    """What writes arguments; workers never need it.

    Of a list, because pydantic takes no config for a bare TypedDict, and does not use the one
    that a TypedDict carries when it writes the fields directly inside.
    """
    from pydantic import TypeAdapter

    return TypeAdapter(list[shape], config=CONFIG).serializer  # type: ignore[arg-type]


def _plain_arguments(
    schemas: Mapping[str, CoreSchema | None],
    required: Collection[str],
    rest: CoreSchema | None,
    exact: frozenset[str],
    *,
    passes_over: bool,
) -> ArgumentCodec:
    from pydantic_core import SchemaValidator, core_schema, to_jsonable_python

    fields = {
        name: core_schema.typed_dict_field(schema, required=name in required)
        for name, schema in schemas.items()
        if schema is not None
    }
    others: ExtraBehavior = "ignore" if passes_over else "forbid"
    validator = SchemaValidator(
        core_schema.typed_dict_schema(
            fields, extras_schema=rest, extra_behavior=others if rest is None else "allow"
        )
    )
    return ArgumentCodec(
        validator.validate_json, validator.validate_python, to_jsonable_python, exact
    )


def _typed_arguments(
    task: str,
    parameters: Mapping[str, Any],
    required: Collection[str],
    extra: Any,
    *,
    passes_over: bool,
) -> tuple[Any, Any]:
    """A TypedDict with these parameters as its keys, and what validates it."""
    from pydantic import TypeAdapter
    from typing_extensions import TypedDict

    fields = {
        name: hint if name in required else typing.NotRequired[hint]
        for name, hint in parameters.items()
    }
    more = {} if extra is Parameter.empty else {"extra_items": extra}
    config = {name: value for name, value in CONFIG.items() if not (more and name == "extra")}
    if passes_over and not more:
        config["extra"] = "ignore"
    try:
        shape = TypedDict(task, fields, **more)  # type: ignore[misc]
        shape.__pydantic_config__ = config  # type: ignore[attr-defined]
        return shape, TypeAdapter(shape).validator
    except Exception as error:
        culprit = next((name for name, hint in parameters.items() if not _usable(hint)), EXTRA)
        raise InvalidAgent(
            f"task {task!r}: the hint of {culprit!r} cannot be used: {first_line(error)}",
            task=task,
            parameter=culprit,
        ) from error


def _usable(hint: Any) -> bool:
    from pydantic import TypeAdapter

    try:
        TypeAdapter(hint)
    except Exception:  # noqa: BLE001 - the question is whether, not why
        return False
    return True


def first_line(error: BaseException) -> str:
    """An error's message in one line."""
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


# Results


@dataclass(frozen=True, slots=True)
class ResultCodec:
    """Writes a handler's result as JSON, and reads that JSON back for the producer."""

    dump: Callable[[Any], bytes]
    load: Callable[[Any], Any]


def compile_result(task: str, hint: Any) -> ResultCodec:
    """The codec for results with this hint. Raises InvalidAgent when nothing can write it.

    A result is written by its hint, but not judged by it: the work is done, so what does not fit
    is written as the JSON that it is.
    """
    if plain(hint) is not None:
        return ResultCodec(_dump_plain, lambda value: value)
    from pydantic import TypeAdapter

    try:
        # Inside a list, because pydantic takes no config for a bare model or dataclass.
        adapter: TypeAdapter[list[Any]] = TypeAdapter(list[hint], config=CONFIG)  # type: ignore[arg-type]
    except Exception as error:
        raise InvalidAgent(
            f"task {task!r}: the hint of its result cannot be used: {first_line(error)}", task=task
        ) from error
    to_json, from_json = adapter.serializer.to_json, adapter.validator.validate_json

    def dump(value: Any) -> bytes:
        check_json(value, exact=False)
        return to_json([value], warnings="none")[1:-1]

    def load(value: Any) -> Any:
        from pydantic_core import to_json as write

        return from_json(b"[" + write(value) + b"]")[0]

    return ResultCodec(dump, load)


def _dump_plain(value: Any) -> bytes:
    if value is None:
        return b"null"
    from pydantic_core import to_json

    return to_json(value, bytes_mode="base64", inf_nan_mode="constants")


def check_result(body: bytes) -> None:
    """Raise Unfit for JSON text with NaN, infinity or too many levels in it."""
    if b"NaN" in body or b"Infinity" in body:
        json.loads(body, parse_constant=_refuse_constant)
    if body.count(b"[") + body.count(b"{") > DEPTH_MAX:
        check_json(json.loads(body), exact=False)


def _refuse_constant(constant: str) -> None:
    raise Unfit(f"{constant} is not JSON")
