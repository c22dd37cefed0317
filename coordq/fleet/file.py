"""fleet.toml: which groups of workers one machine runs, and how.

    name = "shop"                      # by default this machine's name
    url = "redis://10.0.0.5:6379"      # by default COORDQ_URL

    [groups.mail]
    targets = ["./workers"]
    queues = ["urgent:3", "mail"]
    min = 1
    max = 8                            # or workers = 4

Everything is checked before anything starts. A refusal names the file, the place, and what to
write.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from coordq.errors import InvalidFleetFile, InvalidName
from coordq.fleet.written import (
    DAY_S,
    URL,
    Environment,
    Flag,
    Name,
    Namespace,
    Pairs,
    Queues,
    Targets,
    Text,
    check_short_name,
    choice,
    nearest,
    number,
    span,
    whole,
)

WORKERS_MAX: Final = 256
"""Of one group on one machine."""
SUPERVISOR: Final = "supervisor"
"""The name under which a fleet's supervisor is shown; no group may have it."""
SHOWN_MAX: Final = 60
"""Characters of a wrong value that are repeated."""
LEASE_BEATS: Final = 3
"""A lease lasts at least so many beats, or a lost beat would be a lost claim."""


class Table(BaseModel):
    """A table of the file: keys it does not know are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(Table):
    """What a worker may use; 0 is for no limit."""

    max_rss: Annotated[float, number(0, 2**40)] = 0.0
    """MB: a child that uses more is replaced."""
    max_tasks: Annotated[int, whole(0, 2**53)] = 0
    """A child is replaced after so many."""
    drain_timeout: Annotated[float, span(0, DAY_S)] = 30.0
    """How long running tasks may go on when a worker is told to end."""
    nice: Annotated[int, whole(0, 19)] = 0
    """How far other processes of the machine come first."""


class Stall(Table):
    """What happens to a child whose loop is blocked."""

    after: Annotated[float, span(0.5, DAY_S)] = 10.0
    policy: Annotated[str, choice("report", "kill")] = "report"


class Restart(Table):
    """How often a worker that ended by itself is started again before the spawner gives up."""

    restarts: Annotated[int, whole(0, 1000)] = 5
    per: Annotated[float, span(1, DAY_S)] = 60.0
    """More than `restarts` within this time are too many."""
    first: Annotated[float, span(0, 3600)] = 0.5
    """How long the first restart waits; each further one twice as long."""
    longest: Annotated[float, span(0, 3600)] = 15.0

    @model_validator(mode="after")
    def _can_be_used_up(self) -> Self:
        if self.longest < self.first:
            raise ValueError("longest is shorter than first: write longest = first or more")
        waits = sum(min(self.longest, self.first * 2**n) for n in range(self.restarts))
        if waits > self.per:
            raise ValueError(
                f"{self.restarts} restarts wait {waits:g}s together, so there are never too many "
                f"within {self.per:g}s: write a longer per, or a shorter longest"
            )
        return self


class Autoscale(Table):
    """When a group grows and shrinks between its min and max."""

    scale_up_age: Annotated[float, span(0.1, DAY_S)] = 5.0
    """Grow when the oldest ready task is older, and the workers are busy."""
    utilisation: Annotated[float, number(0.05, 1)] = 0.7
    """The share of its slots that a group should use; it shrinks when fewer workers keep below."""
    cooldown: Annotated[float, span(0, DAY_S)] = 30.0
    """How long a group has been in no need of a worker before it has one less."""


class Group(Table):
    """Workers that are alike."""

    targets: Targets
    """Files, folders or modules, as for `coordq worker`."""
    queues: Queues = ()
    """(name, weight); empty: those that the tasks name."""
    workers: Annotated[int, whole(0, WORKERS_MAX)] | None = None
    """How many; None when `min` and `max` say so."""
    min: Annotated[int, whole(0, WORKERS_MAX)] | None = None
    max: Annotated[int, whole(1, WORKERS_MAX)] | None = None
    processes: Annotated[int, whole(1, 256)] = 1
    concurrency: Annotated[int, whole(1, 4096)] = 16
    threads: Annotated[int, whole(0, 4096)] = 0
    zone: Name | None = None
    labels: Pairs = Field(default_factory=dict)
    beat: Annotated[float, span(0.05, 3600)] = 2.0
    lease: Annotated[float, span(0.15, DAY_S)] | None = None
    """None: what `coordq worker` makes of the beat."""
    start_timeout: Annotated[float, span(1, 3600)] = 60.0
    """How long a worker may take until it serves; a rolling restart is broken off after that."""
    environment: Environment = Field(default_factory=dict)
    limits: Limits = Field(default_factory=Limits)
    stall: Stall = Field(default_factory=Stall)
    restart: Restart = Field(default_factory=Restart)
    autoscale: Autoscale = Field(default_factory=Autoscale)

    @model_validator(mode="after")
    def _is_of_one_mind(self) -> Self:
        scales = self.min is not None or self.max is not None
        if scales and self.workers is not None:
            raise ValueError("workers goes with neither min nor max: write one or the other")
        if "autoscale" in self.model_fields_set and not scales:
            raise ValueError("autoscale needs a range: write min and max instead of workers")
        if self.min is not None and self.max is None:
            raise ValueError("min stands alone: write max as well")
        if self.max is not None and self.least > self.max:
            raise ValueError(f"min = {self.least} is above max = {self.max}: write min <= max")
        if scales and not self.least and not self.queues:
            raise ValueError("min = 0 needs queues: without a worker nobody knows what to look at")
        if self.lease is not None and self.lease < LEASE_BEATS * self.beat:
            low = LEASE_BEATS * self.beat
            raise ValueError(f"lease is shorter than three beats: write {low:g}s or more")
        return self

    @property
    def scales(self) -> bool:
        """Whether its size changes with the load."""
        return self.max is not None

    @property
    def least(self) -> int:
        """The smallest size."""
        if not self.scales:
            return 1 if self.workers is None else self.workers
        return 1 if self.min is None else self.min


class Supervisor(Table):
    """The supervisor that runs beside the groups."""

    enabled: Flag = True
    zone: Name | None = None
    lease: Annotated[float, span(0.5, 300)] | None = None
    on_minority: Annotated[str, choice("auto", "read-only", "continue")] | None = None
    audit_every: Annotated[float, span(0.1, DAY_S)] | None = None
    dead_retention: Annotated[float, span(0, 3650 * DAY_S)] | None = None
    event_retention: Annotated[float, span(0, 3650 * DAY_S)] | None = None
    stuck_after: Annotated[float, span(0.1, 365 * DAY_S)] | None = None
    health_port: Annotated[int, whole(0, 65_535)] | None = None
    health_host: Text | None = None
    environment: Environment = Field(default_factory=dict)
    restart: Restart = Field(default_factory=Restart)


class FleetFile(Table):
    """A whole file."""

    name: Name | None = None
    """What orders are addressed to; None for the machine's name."""
    url: URL | None = None
    namespace: Namespace | None = None
    zone: Name | None = None
    """Of all groups that do not say their own."""
    environment: Environment = Field(default_factory=dict)
    supervisor: Supervisor | None = None
    groups: dict[str, Group] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _runs_something(self) -> Self:
        if not self.groups and not self.supervised:
            raise ValueError("there is nothing to run: write [groups.<name>] with its targets")
        return self

    @property
    def supervised(self) -> bool:
        """Whether a supervisor runs beside the groups."""
        return self.supervisor is not None and self.supervisor.enabled


def read_file(path: Path, variables: Mapping[str, str]) -> FleetFile:
    """The fleet that a file describes; `variables` stand for ${NAME}. Raises InvalidFleetFile."""
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise _invalid(path, f"byte {error.start} is not UTF-8: save the file as UTF-8") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidFleetFile(
            f"{path} cannot be read: {reason}. Name a fleet file; README.md shows one.",
            file=str(path),
        ) from error
    return parse_file(text, path, variables)


def parse_file(text: str, path: Path, variables: Mapping[str, str]) -> FleetFile:
    """Like `read_file`, for a text that was read from `path`."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _invalid(path, f"this is not TOML: {error}") from error
    _check_names(path, raw.get("groups"))
    try:
        return FleetFile.model_validate(raw, context={"variables": dict(variables)})
    except ValidationError as error:
        problems = [_sentence(one) for one in error.errors(include_url=False)]
        raise _invalid(path, *problems) from error


def _check_names(path: Path, groups: Any) -> None:
    """The names of groups, which pydantic takes as they are."""
    for name in groups if isinstance(groups, dict) else ():
        place = f"[groups.{name}]"
        if name == SUPERVISOR:
            raise _invalid(path, f"{place} is no group: write [supervisor]")
        try:
            check_short_name("group", name)
        except InvalidName as error:
            raise _invalid(path, f"{place} {error}") from error


def _invalid(path: Path, *problems: str) -> InvalidFleetFile:
    shown = f" {problems[0]}" if len(problems) == 1 else "\n  " + "\n  ".join(problems)
    return InvalidFleetFile(f"{path}:{shown}", file=str(path), problems=list(problems))


def _sentence(error: ErrorDetails) -> str:
    """Where a mistake is, and what to write."""
    *tables, last = [str(word) for word in error["loc"]] or [""]
    what = error["msg"].removeprefix("Value error, ")
    match error["type"]:
        case "model_type" | "dict_type":
            return f"{_place(tables)}{last}: write a table, [{'.'.join([*tables, last])}]"
        case "extra_forbidden":
            return f"{_place(tables)}{_unknown(last, tables)}"
        case "missing":
            return f'{_place(tables)}{last} is missing: write {last} = ["./workers"]'
    if isinstance(error["input"], dict):  # of a whole table, whose values may be secrets
        return f"{_place([*tables, last])}{what}"
    shown = "" if last == "url" else f" = {_shown(error['input'])}"
    return f"{_place(tables)}{last}{shown}: {what}"


def _place(tables: list[str]) -> str:
    return f"[{'.'.join(tables)}] " if any(tables) else ""


def _shown(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 3] + "..."


def _unknown(name: str, tables: list[str]) -> str:
    known = list(_model_of(tables).model_fields)
    hint = nearest(name, known) or f"; known here: {', '.join(known)}"
    return f"{name} is not known{hint}"


def _model_of(tables: list[str]) -> type[Table]:
    """What may stand in a table of the file."""
    model: type[Table] = FleetFile
    for word in tables:
        if model is FleetFile and word == "groups":
            model = _Groups
        elif model is _Groups:
            model = Group
        else:
            annotation = model.model_fields[word].annotation
            model = next(kind for kind in (annotation, *get_args(annotation)) if _is_table(kind))
    return model


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Table)


class _Groups(Table):
    """Stands for the table of all groups, whose keys are free."""
