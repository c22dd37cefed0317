"""What a flow says about itself: for people, what it returns, and how far it has come by when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from coordq.work.flow.refusal import refuse
from coordq.work.flow.step import Member, Step
from coordq.work.flow.ties import check_owner, links
from coordq.work.options import moment_ms

ABOUT_MAX: Final = 10_000
"""Characters of a description, or of all labels."""


class Described:
    """What there is to say about a flow and all its steps."""

    name: str
    about: dict[str, Any]
    _keys: dict[str, Step]
    _members: dict[Step, Member]

    @property
    def returned(self) -> Step | None:
        """The step whose result is that of the flow; None unless `returns` said so."""
        return self._keys[self.about["returns"]] if self.about["returns"] else None

    def returns(self, step: Step, /) -> None:
        """Let the result of the flow be that of one step, in place of results by key.

        Of a step that failed it is its alternative's. It is None when the flow succeeded and the
        step did not: it was skipped, or its failure dealt with. Raises InvalidFlow.
        """
        if not isinstance(step, Step):
            refuse(self.name, "", f"it cannot return {step!r:.60}: give one step, such as a join")
        check_owner(self, step.key, step)  # type: ignore[arg-type] # a Flow has the rest
        if self.about["returns"]:
            refuse(self.name, step.key, f"the flow returns {self.about['returns']!r} already")
        member = self._members[step]
        if member.hears or member.each is not None:
            refuse(self.name, step.key, "neither a callback nor a map can be returned: join it")
        self.about["returns"] = step.key

    def milestone(self, name: str, /, *, needs: Any, by: datetime | float | None = None) -> None:
        """Say that the flow has come somewhere when some of its steps have ended well.

        needs: steps or groups. by: when it should be so: an aware datetime, or seconds since 1970.
        """
        if not isinstance(name, str) or not name.strip():
            refuse(self.name, "", f"milestone {name!r:.60}: give it a name")
        if any(one["name"] == name for one in self.about["milestones"]):
            refuse(self.name, "", f"there is a milestone {name!r} already")
        keys = [link.step.key for link in links(self, name, needs)]  # type: ignore[arg-type]
        if not keys:
            refuse(self.name, "", f"milestone {name!r} needs steps")
        due = {"by": moment_ms(by)} if by is not None else {}
        self.about["milestones"].append({"name": name, "needs": keys, **due})


def about(name: str, description: Any, labels: Any) -> dict[str, Any]:
    """What a flow says of itself from the start. Raises InvalidFlow."""
    if not isinstance(description, str) or len(description) > ABOUT_MAX:
        refuse(name, "", f"description: give text of at most {ABOUT_MAX:,} characters")
    pairs: dict[Any, Any] = dict(labels or {}) if isinstance(labels, Mapping | None) else {0: 0}
    texts = [one for pair in pairs.items() for one in pair]
    if not all(isinstance(one, str) for one in texts) or sum(map(len, texts)) > ABOUT_MAX:
        refuse(name, "", f"labels: give texts by name, {ABOUT_MAX:,} characters at most")
    return {"description": description, "labels": pairs, "milestones": [], "returns": ""}
