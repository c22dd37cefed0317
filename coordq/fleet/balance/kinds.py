"""All kinds of balancers, by name."""

from __future__ import annotations

from typing import Any, Final

from coordq.errors import InvalidOption
from coordq.fleet.balance.balancer import Balancer
from coordq.fleet.balance.least import LeastConnections
from coordq.fleet.balance.response import ResponseTime
from coordq.fleet.balance.round_robin import RoundRobin
from coordq.fleet.balance.two_choices import TwoChoices

KINDS: Final[dict[str, type[Balancer]]] = {
    kind.name: kind for kind in (RoundRobin, LeastConnections, ResponseTime, TwoChoices)
}


def make_balancer(kind: str, **given: Any) -> Balancer:
    """A balancer by name: round-robin, least-connections, response-time or two-choices.

    given: warm_up_s, clock, chance; quantile of response-time. Raises InvalidOption.
    """
    if kind not in KINDS:
        raise InvalidOption(
            f"There is no balancer {kind!r}; there are: {', '.join(KINDS)}.", option="kind"
        )
    try:
        return KINDS[kind](**given)
    except TypeError as error:
        known = "warm_up_s, clock, chance, and quantile of response-time"
        raise InvalidOption(f"A balancer has {known}: {error}.", option="kind") from error
