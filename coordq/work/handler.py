"""What an agent does for one kind of task: the function, and how it is to be run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from coordq.work.backoff import Backoff
from coordq.work.batch import Batch
from coordq.work.options import Options, seconds
from coordq.work.signature import Signature

if TYPE_CHECKING:
    from coordq.work.agent import Agent

Isolation = Literal["none", "process"]


class Handler:
    """One task of an agent: the function, what it takes, and how it is to be run.

    `options` are the task's own; those a producer gave travel with the task and come first.
    """

    listens: ClassVar[bool] = False
    """Whether it is called for messages, not for tasks."""

    __slots__ = (
        "agent",
        "batch",
        "bind_json",
        "dump_result",
        "fn",
        "give_up_on",
        "hooks",
        "is_async",
        "isolation",
        "load_result",
        "name",
        "options",
        "retry_on",
        "signature",
        "source",
        "timeout_ms",
        "validate_by",
    )

    def __init__(
        self,
        agent: Agent,
        fn: Callable[..., Any],
        *,
        name: str,
        options: Options,
        isolation: Isolation = "none",
        batch: Batch | None = None,
        retry_on: tuple[type[Exception], ...] = (),
        give_up_on: tuple[type[Exception], ...] = (),
        names: Mapping[str, Any] | None = None,
        validate_by: str = "",
    ) -> None:
        self.agent = agent
        self.fn = fn
        self.name = name
        self.options = options
        self.isolation = isolation
        self.batch = batch
        """How tasks are gathered for one call; None when each has a call of its own."""
        self.retry_on = retry_on
        self.give_up_on = give_up_on
        self.validate_by = validate_by
        """The role of who must agree with a result before it counts; "" for nobody."""
        self.hooks = agent.hooks
        self.is_async = inspect.iscoroutinefunction(fn)
        self.signature = Signature(
            fn, task=name, always=agent.dependencies, names=names, batched=batch is not None
        )
        self.bind_json: Callable[[bytes], dict[str, Any]] = self.signature.bind_json
        """Validated arguments from a JSON object. Raises InvalidArguments."""
        self.dump_result: Callable[[Any], bytes] = self.signature.dump_result
        """A result as JSON. Raises ResultNotJSON."""
        self.load_result: Callable[[Any], Any] = self.signature.load_result
        """What a result's JSON value stands for. Raises ForeignData."""
        self.source = ""
        """The target it was loaded from, such as `workers/echo.py`: set by whoever loaded it."""
        self.timeout_ms = round(seconds("timeout", options.timeout) * 1000)

    def prepare(self) -> None:
        """Compile the type hints now. Raises InvalidAgent for those that cannot be used."""
        self.signature.prepare()

    @property
    def backoff(self) -> Backoff:
        """How long to wait before the next attempt, when the task itself does not say."""
        return self.options.backoff or _DEFAULT_BACKOFF

    def may_retry(self, error: BaseException) -> bool:
        """Whether this kind of exception deserves another attempt."""
        if isinstance(error, self.give_up_on):
            return False
        return not self.retry_on or isinstance(error, self.retry_on)

    def __repr__(self) -> str:
        return f"<Handler {self.name} of agent {self.agent.name}>"


_DEFAULT_BACKOFF: Final = Backoff()
