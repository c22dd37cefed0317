"""How long to wait before trying again: policies as values, small enough to travel with a task.

Every policy turns the number of the attempt that just failed (1, 2, 3, ...) into a ceiling:

    exponential   base * factor ** (attempt - 1), never above max
    linear        base + step * (attempt - 1), never above max
    fixed         base
    steps         the listed delays, the last one for ever

and jitter then chooses below the ceiling, so that a thousand tasks that failed together do not
come back together: "full" anywhere from 0, "equal" in the upper half, "none" the ceiling itself.

A policy is stored in the task's record as one token (`e:1000:2:600000:f`), because the worker that
has to wait is often not the one that knows the code.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Final, Literal

from coordq.amounts import is_number
from coordq.errors import InvalidOption

Jitter = Literal["full", "equal", "none"]
Kind = Literal["exponential", "linear", "fixed", "steps"]
Seconds = float | timedelta

DELAY_MAX_S: Final = 366 * 86_400.0
FACTOR_MAX: Final = 1_000.0
STEPS_MAX: Final = 50

_USES: Final[dict[Kind, tuple[str, ...]]] = {
    "exponential": ("base", "factor", "max"),
    "linear": ("base", "step", "max"),
    "fixed": ("base",),
    "steps": (),
}
_JITTERS: Final[dict[str, str]] = {"full": "f", "equal": "e", "none": "n"}
_JITTER_OF: Final[dict[str, Jitter]] = {"f": "full", "e": "equal", "n": "none"}


def _seconds(name: str, value: object) -> float:
    """`value` as seconds, rounded to whole milliseconds so that it survives the record."""
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if not is_number(number):
        raise InvalidOption(f"backoff {name}={value!r} is not a number of seconds.", option=name)
    if not 0 <= number <= DELAY_MAX_S:
        raise InvalidOption(
            f"backoff {name}={value!r} must lie between 0 and {DELAY_MAX_S:.0f} seconds.",
            option=name,
        )
    return round(number * 1000) / 1000


def _ms(seconds: float) -> str:
    return str(round(seconds * 1000))


@dataclass(frozen=True, slots=True)
class Backoff:
    """One retry policy. `Backoff()` is exponential: about 1, 2, 4, ... up to 600 s, full jitter.

    `base`, `step`, `max` and `delays` are seconds (or timedeltas); `step` is used by linear only,
    `factor` by exponential only, `delays` by steps only. Raises InvalidOption for values that are
    not finite, negative, above a year, or do not belong together.
    """

    base: float = 1.0
    factor: float = 2.0
    max: float = 600.0
    jitter: Jitter = "full"
    kind: Kind = "exponential"
    step: float = 0.0
    delays: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("base", "max", "step"):
            object.__setattr__(self, name, _seconds(name, getattr(self, name)))
        delays = tuple(_seconds("delays", delay) for delay in self.delays)
        object.__setattr__(self, "delays", delays)
        self._check_words()
        self._check_factor()
        self._check_delays()
        self._forget_unused()

    def _forget_unused(self) -> None:
        """Reset what this kind does not use, so that equal policies are equal values."""
        unused: dict[str, float] = {"factor": 2.0, "step": 0.0, "max": 600.0, "base": 1.0}
        for name in _USES[self.kind]:
            del unused[name]
        for name, value in unused.items():
            object.__setattr__(self, name, value)

    def _check_words(self) -> None:
        if self.kind not in _USES:
            raise InvalidOption(f"backoff kind {self.kind!r} does not exist.", option="kind")
        if self.jitter not in _JITTERS:
            raise InvalidOption(
                f"backoff jitter {self.jitter!r} does not exist: use full, equal or none.",
                option="jitter",
            )

    def _check_factor(self) -> None:
        number = self.factor
        if not is_number(number):
            raise InvalidOption(f"backoff factor={number!r} is not a number.", option="factor")
        if not 1 <= number <= FACTOR_MAX:
            raise InvalidOption(
                f"backoff factor={number!r} must lie between 1 and {FACTOR_MAX:.0f}.",
                option="factor",
            )
        object.__setattr__(self, "factor", float(number))

    def _check_delays(self) -> None:
        if self.kind == "steps" and not 1 <= len(self.delays) <= STEPS_MAX:
            raise InvalidOption(f"backoff steps need 1 to {STEPS_MAX} delays.", option="delays")
        if self.kind != "steps" and self.delays:
            raise InvalidOption("backoff delays belong to kind 'steps' only.", option="delays")

    @classmethod
    def exponential(
        cls,
        base: Seconds = 1.0,
        *,
        factor: float = 2.0,
        max: Seconds = 600.0,  # noqa: A002 - the word everybody tries first
        jitter: Jitter = "full",
    ) -> Backoff:
        """Each wait `factor` times the last, from `base` up to `max` seconds."""
        return cls(_seconds("base", base), factor, _seconds("max", max), jitter)

    @classmethod
    def linear(
        cls,
        base: Seconds = 1.0,
        *,
        step: Seconds = 1.0,
        max: Seconds = 600.0,  # noqa: A002 - as in exponential
        jitter: Jitter = "full",
    ) -> Backoff:
        """Each wait `step` seconds longer than the last, from `base` up to `max`."""
        ceiling = _seconds("max", max)
        return cls(_seconds("base", base), 2.0, ceiling, jitter, "linear", _seconds("step", step))

    @classmethod
    def fixed(cls, delay: Seconds, *, jitter: Jitter = "none") -> Backoff:
        """The same wait of `delay` seconds every time."""
        return cls(_seconds("delay", delay), jitter=jitter, kind="fixed")

    @classmethod
    def steps(cls, delays: Sequence[Seconds], *, jitter: Jitter = "none") -> Backoff:
        """The listed waits in seconds, one after the other; the last one repeats."""
        listed = tuple(_seconds("delays", delay) for delay in delays)
        return cls(jitter=jitter, kind="steps", delays=listed)

    def ceiling(self, attempt: int) -> float:
        """The longest wait in seconds after failed attempt number `attempt` (from 1)."""
        past = max(attempt, 1) - 1
        if self.kind == "steps":
            return self.delays[min(past, len(self.delays) - 1)]
        if self.kind == "fixed":
            return self.base
        if self.kind == "linear":
            return min(self.base + self.step * past, self.max)
        return self._power(past)

    def _power(self, past: int) -> float:
        try:
            return min(self.base * self.factor**past, self.max)
        except OverflowError:
            return self.max if self.base else 0.0

    def delay(self, attempt: int, chance: Callable[[], float] = random.random) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 1).

        `chance` gives numbers from 0 up to but not including 1: pass your own for a repeatable
        answer.
        """
        ceiling = self.ceiling(attempt)
        if self.jitter == "none":
            return ceiling
        if self.jitter == "equal":
            return ceiling / 2 + ceiling / 2 * chance()
        return ceiling * chance()

    def encode(self) -> str:
        """The policy as one token without spaces, for the task's record."""
        jitter = _JITTERS[self.jitter]
        if self.kind == "steps":
            return f"s:{','.join(map(_ms, self.delays))}:{jitter}"
        if self.kind == "fixed":
            return f"c:{_ms(self.base)}:{jitter}"
        if self.kind == "linear":
            return f"l:{_ms(self.base)}:{_ms(self.step)}:{_ms(self.max)}:{jitter}"
        factor = repr(self.factor).removesuffix(".0")
        return f"e:{_ms(self.base)}:{factor}:{_ms(self.max)}:{jitter}"

    @classmethod
    def decode(cls, text: str) -> Backoff:
        """The policy that `encode` made `text` from. Raises InvalidOption for anything else."""
        try:
            return _decode(text)
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise InvalidOption(
                f"{text!r} is not a backoff: expected a token such as e:1000:2:600000:f.",
                option="backoff",
            ) from error


def _s(text: str) -> float:
    """The seconds in a field of milliseconds: digits only, so no sign, no `nan`, no `1_0`."""
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(text)
    return int(text) / 1000


@lru_cache(maxsize=1024)
def _decode(text: str) -> Backoff:
    match text.split(":"):
        case ["e", base, factor, most, jitter]:
            grows = float(factor)
            if not math.isfinite(grows):
                raise ValueError(factor)
            return Backoff(_s(base), grows, _s(most), _JITTER_OF[jitter])
        case ["l", base, step, most, jitter]:
            return Backoff.linear(_s(base), step=_s(step), max=_s(most), jitter=_JITTER_OF[jitter])
        case ["c", delay, jitter]:
            return Backoff.fixed(_s(delay), jitter=_JITTER_OF[jitter])
        case ["s", delays, jitter]:
            listed = [_s(delay) for delay in delays.split(",")]
            return Backoff.steps(listed, jitter=_JITTER_OF[jitter])
        case _:
            raise ValueError(text)
