"""What a function becomes under `@agent.task`, for type checkers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from coordq.work.context import Context
from coordq.work.typed import TaskFunction

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")


class TaskDecorator(Protocol):
    """What `@agent.task(...)` gives: the context disappears from the signature, as does async."""

    @overload
    def __call__(
        self, fn: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]], /
    ) -> TaskFunction[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> TaskFunction[P, R]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[Context, P], R], /) -> TaskFunction[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> TaskFunction[P, R]: ...


class BatchDecorator(Protocol):
    """What `@agent.task(batch=...)` gives: a producer gives, and gets, one entry of each list."""

    @overload
    def __call__(
        self, fn: Callable[[Context, list[A]], Coroutine[Any, Any, None]], /
    ) -> TaskFunction[[A], None]: ...
    @overload
    def __call__(
        self, fn: Callable[[list[A]], Coroutine[Any, Any, None]], /
    ) -> TaskFunction[[A], None]: ...
    @overload
    def __call__(
        self, fn: Callable[[Context, list[A]], Coroutine[Any, Any, list[R] | None]], /
    ) -> TaskFunction[[A], R]: ...
    @overload
    def __call__(
        self, fn: Callable[[list[A]], Coroutine[Any, Any, list[R] | None]], /
    ) -> TaskFunction[[A], R]: ...
    @overload
    def __call__(self, fn: Callable[[Context, list[A]], None], /) -> TaskFunction[[A], None]: ...
    @overload
    def __call__(self, fn: Callable[[list[A]], None], /) -> TaskFunction[[A], None]: ...
    @overload
    def __call__(
        self, fn: Callable[[Context, list[A]], list[R] | None], /
    ) -> TaskFunction[[A], R]: ...
    @overload
    def __call__(self, fn: Callable[[list[A]], list[R] | None], /) -> TaskFunction[[A], R]: ...
    @overload
    def __call__(self, fn: Callable[..., Any], /) -> TaskFunction[..., Any]: ...
