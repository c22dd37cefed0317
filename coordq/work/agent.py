"""Agents: something that can do tasks, with a name, a role, capabilities and handlers.

    agent = Agent("crawler", role="reader", capabilities={"http"})

    @agent.task(timeout=30, max_attempts=5)
    async def fetch(ctx: Context, url: str, depth: int = 1) -> Page: ...

A handler may be `async def`, run on the event loop, or `def`, run in a thread. Whatever cannot
work is refused here, when the module is imported, with an InvalidAgent: not when the first task
arrives. Only type hints wait until a worker starts, since they may name what is defined below.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from datetime import timedelta
from types import FrameType
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, overload

from coordq.errors import InvalidAgent, InvalidInput
from coordq.names import check_name
from coordq.work.backoff import Backoff
from coordq.work.batch import Batch, batch_of
from coordq.work.card import make_card
from coordq.work.context import Context
from coordq.work.decorator import BatchDecorator, TaskDecorator
from coordq.work.depends import Dependency
from coordq.work.handler import Handler, Isolation
from coordq.work.listener import MAX_DELIVERIES, VISIBILITY_S, Listener, listener
from coordq.work.middleware import Hooks, Middleware
from coordq.work.options import DEFAULTS, Options
from coordq.work.typed import TaskFunction

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")
F = TypeVar("F", bound=Callable[..., Any])

# An option of one task, never of all tasks of a kind.
_NOT_HERE: Final = ("id", "at")


class Agent:
    """Something that can do tasks.

    name, role, capabilities: names as `coordq.names` allows them; tasks may require a role and
        capabilities, and are then only given to agents that have them.
    persona: what an LLM agent is told to be, as text or as a mapping of JSON values, such as role,
        domain, voice and limits; handlers have it as `ctx.persona`.
    interests: what it wants to hear of, in words.
    max_load, weight: how many tasks it should have at once, and its share beside other agents.
    stand_ins: agents that act for it when it is away; the first that is there.
    breaker: whether its workers tell the breaker `agent:<name>` how its tasks and messages end:
        while too many fail by an error or a timeout, it is not recommended or given turns.
    middleware: what wants to happen around every task, outermost first.
    dependencies: `Depends(...)` that are opened around every task, without being passed to it.

    Raises InvalidAgent.
    """

    def __init__(
        self,
        name: str,
        *,
        role: str = "",
        capabilities: Collection[str] = (),
        persona: str | Mapping[str, Any] | None = None,
        interests: str = "",
        max_load: int = 0,
        weight: float = 1.0,
        stand_ins: Sequence[str] = (),
        breaker: bool = False,
        middleware: Iterable[Middleware] = (),
        dependencies: Sequence[Any] = (),
    ) -> None:
        self.name = _name("agent", name)
        self.role = _name("role", role) if role else ""
        self.capabilities = _capabilities(name, capabilities)
        self.card = make_card(
            name,
            persona=persona,
            interests=interests,
            max_load=max_load,
            weight=weight,
            stand_ins=stand_ins,
        )
        self.persona = self.card.given
        if not isinstance(breaker, bool):
            raise InvalidAgent(f"agent {name!r}: breaker={breaker!r:.80}: give True or False.")
        self.breaker = breaker
        self.middleware = _listed(name, "middleware", middleware)
        self.hooks = Hooks(self.middleware)
        self.dependencies: tuple[Dependency, ...] = _listed(name, "dependencies", dependencies)
        self.handlers: dict[str, Handler] = {}
        """Its tasks, by name."""
        self.listeners: dict[str, Listener] = {}
        """What it does with messages, by name: `@<agent>.<function>`."""
        for dependency in self.dependencies:
            if not isinstance(dependency, Dependency):
                raise InvalidAgent(f"agent {name!r}: {dependency!r} is not a Depends(...).")

    @overload
    def task(
        self, fn: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]], /
    ) -> TaskFunction[P, R]: ...
    @overload
    def task(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> TaskFunction[P, R]: ...
    @overload
    def task(self, fn: Callable[Concatenate[Context, P], R], /) -> TaskFunction[P, R]: ...
    @overload
    def task(self, fn: Callable[P, R], /) -> TaskFunction[P, R]: ...
    @overload
    def task(
        self,
        /,
        *,
        batch: Batch,
        name: str | None = None,
        retry_on: type[Exception] | tuple[type[Exception], ...] = (),
        give_up_on: type[Exception] | tuple[type[Exception], ...] = (),
        **options: Any,
    ) -> BatchDecorator: ...
    @overload
    def task(
        self,
        /,
        *,
        name: str | None = None,
        isolation: Isolation = "none",
        retry_on: type[Exception] | tuple[type[Exception], ...] = (),
        give_up_on: type[Exception] | tuple[type[Exception], ...] = (),
        **options: Any,
    ) -> TaskDecorator: ...
    def task(
        self,
        fn: Any = None,
        /,
        *,
        name: str | None = None,
        isolation: Any = "none",
        batch: Any = None,
        retry_on: Any = (),
        give_up_on: Any = (),
        validate_by: Any = "",
        **options: Any,
    ) -> Any:
        """Make a function a task of this agent: `@agent.task` or `@agent.task(timeout=30, ...)`.

        name: the task's name; the function's own by default.
        isolation: "process" runs each task in a fresh process that can be killed.
        batch: how tasks are gathered for one call; each parameter is a list then, with one entry
            for each task, and so is the result.
        retry_on: only these exceptions are worth another attempt; all are by default.
        give_up_on: these exceptions make a dead letter at once.
        validate_by: a role; a result counts when an agent with it agrees, which is asked by a task
            `validate(task, args, result)` and says true, false, or {"ok": ..., "note": ...}. Else
            the attempt has failed with ResultRejected.
        options: as in coordq.Options (queue, priority, timeout, max_attempts, backoff, ...); what
            a producer asks for comes first.

        Raises InvalidAgent.
        """

        def define(fn: Any) -> TaskFunction[Any, Any]:
            called = _task_name(self, fn, name)
            made = self._where(called, lambda: DEFAULTS.merge(**options))
            handler = Handler(
                self,
                fn,
                name=called,
                options=made,
                isolation=_isolation(called, isolation, fn),
                batch=batch_of(called, batch, isolation),
                retry_on=_exceptions(called, "retry_on", retry_on),
                give_up_on=_exceptions(called, "give_up_on", give_up_on),
                validate_by=_second(self, called, validate_by, batched=batch is not None),
                names=_names_around(fn, inspect.currentframe(), bare=bare),
            )
            self.handlers[called] = handler
            return TaskFunction(handler, options)

        bare = fn is not None
        for option in _NOT_HERE:
            if option in options:
                raise InvalidAgent(
                    f"agent {self.name!r}: {option}= belongs to one task, not to all of a kind:"
                    f" give it to enqueue, with .options({option}=...)."
                )
        return define(fn) if bare else define

    def _where(self, task: str, make: Callable[[], Options]) -> Options:
        try:
            return make()
        except InvalidInput as error:
            raise InvalidAgent(f"agent {self.name!r}, task {task!r}: {error}", task=task) from error

    def on(
        self,
        pattern: str | Sequence[str] | None = None,
        /,
        *,
        kind: str = "",
        group: str | None = None,
        fanout: bool = False,
        ordered: bool = False,
        concurrency: int | None = None,
        visibility: float | timedelta = VISIBILITY_S,
        max_deliveries: int = MAX_DELIVERIES,
        timeout: float | timedelta = 0,
        backoff: Backoff | None = None,
        retry_on: type[Exception] | tuple[type[Exception], ...] = (),
        give_up_on: type[Exception] | tuple[type[Exception], ...] = (),
    ) -> Callable[[F], F]:
        """Call a function for messages: `@agent.on("orders.*")`, `@agent.on()` for the mailbox.

        pattern: which topics, one or several; `*` stands for a word, `**` at the end for any
            number. None: what is sent to the agent itself, and to all agents.
        kind: of a mailbox, only messages of this kind; "" is for the rest.
        group: whoever names the same group shares its messages; by default all workers that have
            this function do, so each message is handled once. fanout: each worker process is
            given all of them.
        ordered: of each topic one message at a time, in order, across all workers.
        concurrency: how many at once in one worker process; None = as many as it has room for.
        visibility: seconds after which a message whose worker fell silent is given to another.
        max_deliveries: so often is it tried, then it is a dead letter.
        timeout: of one run, seconds; 0 = none. backoff, retry_on, give_up_on: as for a task.

        The function stays as it is. Raises InvalidAgent.
        """
        frame = inspect.currentframe()
        whose = {"patterns": pattern, "kind": kind, "group": group, "fanout": fanout}
        how = {"ordered": ordered, "concurrency": concurrency, "visibility": visibility}
        tries = {"max_deliveries": max_deliveries, "timeout": timeout, "backoff": backoff}

        def define(fn: F) -> F:
            _check_function(self, fn, "listener")
            errors = {
                "retry_on": _exceptions(fn.__name__, "retry_on", retry_on),
                "give_up_on": _exceptions(fn.__name__, "give_up_on", give_up_on),
            }
            names = _names_around(fn, frame, bare=False)
            made = listener(self, fn, {**whose, **how, **tries, **errors, "names": names})
            self._add_listener(made)
            return fn

        if callable(pattern):
            raise InvalidAgent(f"agent {self.name!r}: write @agent.on() with its brackets.")
        return define

    def _add_listener(self, made: Listener) -> None:
        if made.name in self.listeners:
            raise InvalidAgent(f"agent {self.name!r} has a listener {made.fn.__name__!r} already.")
        for other in self.listeners.values():
            if made.reads_mailbox and other.reads_mailbox and other.kind == made.kind:
                said = f"kind {made.kind!r}" if made.kind else "any kind"
                raise InvalidAgent(
                    f"agent {self.name!r}: {other.fn.__name__!r} is for messages of {said} already."
                )
        self.listeners[made.name] = made

    @property
    def doings(self) -> tuple[Handler, ...]:
        """What it does: tasks, and what it does with messages."""
        return (*self.handlers.values(), *self.listeners.values())

    def prepare(self) -> None:
        """Compile all type hints now. Raises InvalidAgent for one that cannot be used."""
        for handler in self.doings:
            handler.prepare()

    def __repr__(self) -> str:
        return f"<Agent {self.name}: {', '.join(self.handlers) or 'no tasks'}>"


def _name(kind: str, text: object) -> str:
    try:
        return check_name(kind, text)
    except InvalidInput as error:
        raise InvalidAgent(str(error), name=text) from error


def _capabilities(agent: str, given: Any) -> frozenset[str]:
    if isinstance(given, str) or not isinstance(given, Collection):
        raise InvalidAgent(
            f"agent {agent!r}: capabilities={given!r} is not a set of names, such as {{'http'}}."
        )
    return frozenset(_name("capability", one) for one in given)


def _listed(agent: str, what: str, given: Any) -> tuple[Any, ...]:
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise InvalidAgent(f"agent {agent!r}: {what}={given!r} is not a list.")
    return tuple(given)


def _task_name(agent: Agent, fn: Any, given: str | None) -> str:
    """The checked name of a checked function."""
    where = f"agent {agent.name!r}"
    if isinstance(fn, TaskFunction):
        raise InvalidAgent(f"{where}: {fn.name!r} is a task already.")
    _check_function(agent, fn, "task")
    name = _name("task", fn.__name__ if given is None else given)
    if name in agent.handlers:
        raise InvalidAgent(f"{where} has a task {name!r} already.", task=name)
    return name


def _check_function(agent: Agent, fn: Any, what: str) -> None:
    where = f"agent {agent.name!r}"
    if not inspect.isfunction(fn):
        raise InvalidAgent(
            f"{where}: a {what} must be a function made with def or async def, not {fn!r:.80}."
        )
    if fn.__name__ == "<lambda>":
        raise InvalidAgent(f"{where}: a lambda cannot be a {what}: give it a name with def.")
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise InvalidAgent(
            f"{where}: {fn.__name__!r} yields, but a {what} returns one result: collect them, or"
            " report on the way with ctx.progress and ctx.log."
        )


def _second(agent: Agent, task: str, role: Any, *, batched: bool) -> str:
    """The role of who checks results: of another agent, since nobody checks itself."""
    if role == "":
        return ""
    checked = _name("role", role)
    if batched:
        raise InvalidAgent(f"task {task!r}: results of a batch cannot be validated.", task=task)
    if checked == agent.role or task == "validate":
        raise InvalidAgent(
            f"agent {agent.name!r}, task {task!r}: it would check itself: let validate_by name a "
            "role that this agent does not have.",
            task=task,
        )
    return checked


def _isolation(task: str, given: Any, fn: Callable[..., Any]) -> Isolation:
    if given not in ("none", "process"):
        raise InvalidAgent(
            f"task {task!r}: isolation={given!r} does not exist: use 'none' or 'process'.",
            task=task,
        )
    if given == "process" and "<locals>" in fn.__qualname__:
        raise InvalidAgent(
            f"task {task!r}: isolation='process' needs a function at the top level of its module,"
            " which the fresh process can import.",
            task=task,
        )
    isolation: Isolation = given
    return isolation


def _exceptions(task: str, what: str, given: Any) -> tuple[type[Exception], ...]:
    listed = given if isinstance(given, tuple | list | set | frozenset) else (given,)
    for one in listed:
        if not (isinstance(one, type) and issubclass(one, Exception)):
            raise InvalidAgent(
                f"task {task!r}: {what} takes exception classes, not {one!r:.80}.", task=task
            )
    return tuple(listed)


def _names_around(
    fn: Callable[..., Any], frame: FrameType | None, *, bare: bool
) -> dict[str, Any] | None:
    """The local names where a task inside a function was defined: its hints may mention them."""
    if "<locals>" not in fn.__qualname__:
        return None
    for _ in range(2 if bare else 1):
        frame = frame.f_back if frame is not None else None
    return dict(frame.f_locals) if frame is not None else None
