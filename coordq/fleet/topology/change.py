"""What would change from one topology to another, before it is done; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from coordq.fleet.topology.check import Problem, problems
from coordq.fleet.topology.shape import Pair, Topology
from coordq.fleet.topology.view import View

SAMPLES: Final = 100
"""Links that a plan names; the others it counts."""


@dataclass(frozen=True, slots=True)
class Change:
    """From now to then."""

    version: int
    """The version that it starts from; 0 when none is set."""
    now: Topology | None
    then: Topology | None
    """None: it is taken away, and everybody may talk to everybody."""
    joining: tuple[str, ...]
    leaving: tuple[str, ...]
    opened: int
    """How many (sender, receiver) pairs of members may talk then that may not now."""
    closed: int
    opened_some: tuple[Pair, ...]
    """Up to 100 of them."""
    closed_some: tuple[Pair, ...]
    promoted: tuple[tuple[str, str, str], ...]
    """(agent, to whom it reports now, and then); "" is nobody."""
    problems: tuple[Problem, ...]
    """What is wrong with it: it would be refused."""

    @property
    def empty(self) -> bool:
        """Whether it changes nothing."""
        return self.now == self.then

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "version": self.version,
            "now": None if self.now is None else self.now.to_json(),
            "then": None if self.then is None else self.then.to_json(),
            "joining": list(self.joining),
            "leaving": list(self.leaving),
            "opened": self.opened,
            "closed": self.closed,
            "opened_some": [list(pair) for pair in self.opened_some],
            "closed_some": [list(pair) for pair in self.closed_some],
            "reports": [list(one) for one in self.promoted],
            "problems": [one.to_json() for one in self.problems],
        }


def change(view: View, then: Topology | None) -> Change:
    """What becomes different when `then` takes the place of what `view` shows."""
    wrong = problems(then) if then is not None else ()
    after = View(view.version + 1, then if not wrong else None)
    now = view.topology
    before_names = now.members if now is not None else ()
    after_names = then.members if then is not None else ()
    names = list(dict.fromkeys((*before_names, *after_names)))
    opened, closed = ([], []) if wrong else _links(view, after, names)
    return Change(
        version=view.version,
        now=now,
        then=then,
        joining=tuple(one for one in after_names if one not in set(before_names)),
        leaving=tuple(one for one in before_names if one not in set(after_names)),
        opened=sum(len(gain) for _, gain in opened),
        closed=sum(len(loss) for _, loss in closed),
        opened_some=_some(opened),
        closed_some=_some(closed),
        promoted=tuple(
            (one, view.boss(one), after.boss(one))
            for one in names
            if not wrong and view.boss(one) != after.boss(one)
        ),
        problems=wrong,
    )


_Links = list[tuple[str, frozenset[str]]]


def _links(before: View, after: View, names: Sequence[str]) -> tuple[_Links, _Links]:
    """Whom each may talk to only then, and only now. Without a topology: to everybody."""
    everybody = frozenset(names)
    opened: _Links = []
    closed: _Links = []
    for one in names:
        was, will = (
            view.peers(one) if view.topology is not None else everybody - {one}
            for view in (before, after)
        )
        opened.append((one, will - was))
        closed.append((one, was - will))
    return opened, closed


def _some(links: _Links) -> tuple[Pair, ...]:
    return tuple(islice(((one, other) for one, found in links for other in sorted(found)), SAMPLES))
