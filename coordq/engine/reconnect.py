"""How long we wait for Redis, and when we stop.

Waits grow from 20 ms to a second, each drawn at random below its ceiling, so that a fleet does not
come back all at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NoReturn, TypeVar

from coordq.engine.trouble import LostError
from coordq.errors import Unreachable

T = TypeVar("T")
FIRST_WAIT_S: Final = 0.02
LONGEST_WAIT_S: Final = 1.0


def _policy(patience_s: float | None) -> dict[str, object]:
    import tenacity

    return {
        "retry": tenacity.retry_if_exception_type(LostError),
        "wait": tenacity.wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S),
        "stop": tenacity.stop_never
        if patience_s is None
        else tenacity.stop_after_delay(patience_s),
        "reraise": True,
    }


def _give_up(error: LostError, where: str, patience_s: float | None) -> NoReturn:
    if error.refusal is not None:
        raise error.refusal from error
    raise Unreachable(
        f"Redis at {where} did not answer within {patience_s:g} s: {str(error).rstrip('.')}. "
        "Check that it runs and that the address is right.",
        url=where,
    ) from error


def persist(attempt: Callable[[], T], *, where: str, patience_s: float | None) -> T:
    """Repeat `attempt` while it raises LostError, for `patience_s` seconds (None: for ever).

    Raises Unreachable, or the refusal that the last error carries.
    """
    import tenacity

    try:
        return tenacity.Retrying(**_policy(patience_s))(attempt)  # type: ignore[arg-type]
    except LostError as error:
        _give_up(error, where, patience_s)


async def persist_async(
    attempt: Callable[[], Awaitable[T]], *, where: str, patience_s: float | None
) -> T:
    """`persist` for coroutines."""
    import tenacity

    async def attempted() -> T:
        # tenacity awaits only what it can see to be a coroutine function, which a lambda is not
        return await attempt()

    try:
        retrying = tenacity.AsyncRetrying(**_policy(patience_s))  # type: ignore[arg-type]
        return await retrying(attempted)
    except LostError as error:
        _give_up(error, where, patience_s)
