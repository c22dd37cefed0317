"""What is asked of an adviser, and what no strategy can give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from coordq.amounts import whole
from coordq.errors import ImpossibleWish, InvalidOption

FAULTS: Final = ("crash", "byzantine")
CONSISTENCIES: Final = ("strong", "eventual", "mixed")
WHEN_PARTED: Final = ("consistent", "available")

AGENTS_MAX: Final = 1_000_000
VOTERS_MIN: Final = 3
VOTERS_MAX: Final = 7
BYZANTINE_MIN: Final = 4
BYZANTINE_MAX: Final = 31


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. See `advice.advise`."""

    agents: int
    faults: str
    consistency: str
    tolerate: int | None
    when_parted: str | None
    independent: bool


def check(wish: Wish) -> None:
    """Raise InvalidOption for what is no wish, ImpossibleWish for what no strategy can give."""
    _check(wish)
    _refuse(wish)


def _check(wish: Wish) -> None:
    whole("agents", wish.agents, 1, AGENTS_MAX)
    if wish.tolerate is not None:
        whole("tolerate", wish.tolerate, 0, AGENTS_MAX)
    for option, value, known in (
        ("faults", wish.faults, FAULTS),
        ("consistency", wish.consistency, CONSISTENCIES),
        ("when_parted", wish.when_parted, (None, *WHEN_PARTED)),
        ("independent", wish.independent, (True, False)),
    ):
        if value not in known or (option == "independent" and not isinstance(value, bool)):
            words = ", ".join(str(one) for one in known if one is not None)
            raise InvalidOption(f"{option}={value!r}: use one of {words}.", option=option)


def _refuse(wish: Wish) -> None:
    """Raise ImpossibleWish for what no strategy can give."""
    if wish.agents == 1:
        raise _impossible(
            "One agent agrees with itself: there is nothing to coordinate.",
            "2 agents or more with consistency eventual",
            f"{VOTERS_MIN} agents or more with consistency strong",
        )
    if wish.when_parted == "available" and wish.consistency != "eventual":
        raise _impossible(
            f"Nothing is both {wish.consistency} and available in every part of a network that is "
            "in parts: two sides that cannot hear each other would decide differently.",
            f"consistency {wish.consistency}, and only the side with a majority decides "
            "(when_parted consistent)",
            "consistency eventual: every part goes on, and they are brought together afterwards",
        )
    if wish.faults == "byzantine":
        _refuse_byzantine(wish)
    elif wish.consistency != "eventual":
        _refuse_crash(wish)
    elif wish.tolerate is not None and wish.tolerate >= wish.agents:
        raise _impossible(
            f"Of {wish.agents} agents {wish.tolerate} cannot fail: somebody has to be left.",
            f"tolerate {wish.agents - 1}",
        )


def _refuse_byzantine(wish: Wish) -> None:
    most = (min(wish.agents, BYZANTINE_MAX) - 1) // 3
    if wish.agents < BYZANTINE_MIN:
        others = (
            (f"faults crash with {wish.agents} agents: one of them may stop",)
            if wish.agents >= VOTERS_MIN
            else ()
        )
        raise _impossible(
            f"{wish.agents} agents cannot outvote a liar among them: f liars need 3f+1 agents.",
            f"{BYZANTINE_MIN} agents, of which one may lie",
            *others,
        )
    if wish.when_parted == "available":
        raise _impossible(
            "Agents that may lie agree by a quorum of two thirds; a part without it cannot go on.",
            "faults byzantine, and only a part with two thirds decides (when_parted consistent)",
            "faults crash with consistency eventual, which stays available",
        )
    if wish.tolerate is not None and wish.tolerate > most:
        needed = 3 * wish.tolerate + 1
        bound = f", and beyond {BYZANTINE_MAX} replicas a decision takes thousands of messages"
        raise _impossible(
            f"To tolerate {wish.tolerate} liars takes {needed:,} agents"
            f"{bound if needed > BYZANTINE_MAX else f', not {wish.agents}'}.",
            f"tolerate {most} with {wish.agents:,} agents",
            *((f"{needed} agents",) if needed <= BYZANTINE_MAX else ()),
        )


def _refuse_crash(wish: Wish) -> None:
    if wish.agents < VOTERS_MIN:
        raise _impossible(
            f"A majority of {wish.agents} agents is both of them: when one stops, nothing can be "
            "decided.",
            f"{VOTERS_MIN} agents, of which one may stop",
            f"consistency eventual with {wish.agents} agents",
        )
    most = (min(wish.agents, VOTERS_MAX) - 1) // 2
    if wish.tolerate is not None and wish.tolerate > most:
        needed = 2 * wish.tolerate + 1
        ways = [f"tolerate {most} with {wish.agents:,} agents"]
        if needed <= VOTERS_MAX:
            ways.append(f"{needed} agents")
        else:
            ways.append(f"consistency eventual with {wish.agents:,} agents")
        bound = f"; beyond {VOTERS_MAX} each decision waits for more disks than it is worth"
        raise _impossible(
            f"To tolerate {wish.tolerate} crashes takes {needed:,} voters"
            f"{bound if needed > VOTERS_MAX else f', not {wish.agents}'}.",
            *ways,
        )


def _impossible(words: str, *possible: str) -> ImpossibleWish:
    return ImpossibleWish(f"{words} Possible: {'; '.join(possible)}.", possible=list(possible))
