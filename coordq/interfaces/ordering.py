"""Gives an order to a running fleet, and waits for what becomes of it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any, Final

from coordq import errors
from coordq.clock import monotonic
from coordq.engine import keys
from coordq.engine.connection import Engine
from coordq.errors import CoordqError, FleetNotFound, WaitTimeout
from coordq.fleet.spawners import answers_of, enlisted, order

BLOCK_S: Final = 2.0
"""After so long without a word we look whether the fleet is still there."""


def give(
    engine: Engine,
    message: dict[str, Any],
    *,
    fleet: str,
    timeout_s: float | None,
    tell: Callable[[str], None],
) -> tuple[str, str]:
    """The fleet's name, and what it said when it was done; `tell` gets what it says before.

    fleet: empty when there is only one. Raises FleetNotFound, WaitTimeout, and what was refused.
    """
    name = _chosen(engine, fleet)
    order_id = secrets.token_hex(8)
    if not engine.run(order(name, {**message, "id": order_id})):
        raise _gone(name)
    deadline = None if timeout_s is None else monotonic() + timeout_s
    key = keys.inbox(keys.root(engine.namespace, 0), answers_of(order_id))
    while True:
        answer = _next(engine, key, deadline)
        if answer is None:
            _check_there(engine, name)
            if deadline is not None and monotonic() >= deadline:
                raise WaitTimeout(
                    f"The fleet {name!r} was not done after {timeout_s:g} s; it goes on. "
                    "coordq fleet status shows how far it is.",
                    fleet=name,
                )
        elif answer.get("say") == "progress":
            tell(str(answer["text"]))
        elif answer.get("say") == "done":
            return name, str(answer["text"])
        else:
            raise _refusal(answer)


def _next(engine: Engine, key: str, deadline: float | None) -> dict[str, Any] | None:
    """The next word of the fleet; None when none came for a while."""
    block_s = BLOCK_S if deadline is None else min(BLOCK_S, max(0.01, deadline - monotonic()))
    reply = engine.execute(0, "BLPOP", key, f"{block_s:.3f}", timeout_s=block_s)
    if reply is None:
        return None
    answer = json.loads(reply[1])
    assert isinstance(answer, dict), "a key with a secret name holds what its reader asked for"
    return answer


def _chosen(engine: Engine, fleet: str) -> str:
    """The fleet that is meant. Raises FleetNotFound."""
    names = [str(facts["name"]) for facts in engine.run(enlisted()) if facts.get("name")]
    if not names:
        raise FleetNotFound("No fleet runs in this namespace: start one with coordq fleet up.")
    if fleet and fleet not in names:
        raise FleetNotFound(f"No fleet {fleet!r} runs; there is: {', '.join(names)}.", fleets=names)
    if not fleet and len(names) > 1:
        raise FleetNotFound(
            f"Several fleets run: {', '.join(names)}. Say which with --name.", fleets=names
        )
    return fleet or names[0]


def _check_there(engine: Engine, name: str) -> None:
    if all(facts.get("name") != name for facts in engine.run(enlisted())):
        raise _gone(name)


def _gone(name: str) -> FleetNotFound:
    return FleetNotFound(
        f"The fleet {name!r} ended before it had answered; its workers finish what they run.",
        fleet=name,
    )


def _refusal(answer: dict[str, Any]) -> CoordqError:
    """What the spawner raised, raised here."""
    kinds = [kind for kind in vars(errors).values() if hasattr(kind, "code")]
    fitting = (kind for kind in kinds if kind.code == answer.get("code"))
    refusal: CoordqError = next(fitting, CoordqError)(str(answer.get("message")))
    return refusal
