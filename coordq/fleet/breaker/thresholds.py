"""When a circuit breaker opens, and how it closes again."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

from coordq.amounts import is_number, is_whole
from coordq.errors import InvalidBreaker
from coordq.names import check_name

_BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "failures": (1, 1_000_000),
    "rate": (0, 1),
    "min_calls": (1, 1_000_000),
    "slow": (0, 3600),
    "slow_rate": (0.01, 1),
    "window": (1, 3600),
    "recovery": (0.1, 86_400),
    "probes": (1, 100),
}
_WHOLE: Final = ("failures", "min_calls", "probes")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """A breaker opens when both `failures` and `rate` are reached, or `slow_rate` is."""

    failures: int = 5
    """So many calls of the window must have failed."""
    rate: float = 0.5
    """And this share of its calls; 0: their number alone counts."""
    min_calls: int = 5
    """With fewer calls in the window it does not open."""
    slow: float = 0.0
    """A call that takes longer is slow, in seconds; 0: none is."""
    slow_rate: float = 0.8
    """It opens as well when this share of the calls of the window was slow."""
    window: float = 60.0
    """How far back calls count, in seconds; it slides by tenths."""
    recovery: float = 30.0
    """How long it is open before calls are tried, in seconds."""
    probes: int = 3
    """So many calls are tried; when all went well it closes, when one fails it opens again."""

    def __post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            value: object = getattr(self, name)
            if not (is_whole if name in _WHOLE else is_number)(value, least, most):
                whole = "a whole number" if name in _WHOLE else "a number"
                raise InvalidBreaker(
                    f"{name}={value!r}: give {whole} from {least:g} to {most:,g}.", field=name
                )

    def text(self) -> str:
        """As Redis keeps it, see lua/lib/breaker.lua."""
        numbers = (
            self.failures,
            self.rate,
            self.min_calls,
            self.slow * 1000,
            self.slow_rate,
            round(self.window * 1000),
            round(self.recovery * 1000),
            self.probes,
        )
        return " ".join(f"{number:.15g}" for number in numbers)

    def words(self) -> str:
        """`5 failures and 50% of 5 calls in 60 s; 30 s open, 3 tried`."""
        share = f" and {self.rate:.0%} of" if self.rate else " of at least"
        slow = f", or {self.slow_rate:.0%} over {self.slow:g} s" if self.slow else ""
        return (
            f"{self.failures} failures{share} {self.min_calls} calls in {self.window:g} s{slow}; "
            f"{self.recovery:g} s open, {self.probes} tried"
        )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {at.name: getattr(self, at.name) for at in fields(self)}


def make(**given: Any) -> Thresholds:
    """Thresholds from what a caller says. Raises InvalidBreaker."""
    known = [at.name for at in fields(Thresholds)]
    for field in given:
        if field not in known:
            raise InvalidBreaker(
                f"A breaker has no {field!r}; it has: {', '.join(known)}.", field=field
            )
    return Thresholds(**given)


def read_thresholds(text: bytes) -> Thresholds:
    """What Redis holds; the usual ones when coordq did not write it."""
    try:
        failures, rate, least, slow, slow_rate, window, recovery, probes = map(float, text.split())
        return Thresholds(
            failures=int(failures),
            rate=rate,
            min_calls=int(least),
            slow=slow / 1000,
            slow_rate=slow_rate,
            window=window / 1000,
            recovery=recovery / 1000,
            probes=int(probes),
        )
    except (ValueError, OverflowError):
        return Thresholds()


def check_subject(subject: object) -> str:
    """The subject itself, when it may have a breaker: what is called, such as `agent:critic`.

    Raises InvalidName.
    """
    return check_name("subject", subject)
