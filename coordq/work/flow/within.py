"""Flows within a flow file: which files may be read, and what the outer flow can name of them.

A file may read files of its own folder and of folders in it, and no others: whoever is given a flow
file to run has looked at that folder, and not at all that its user may read. Links are followed
before that is judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from coordq.work.flow.build import Flow
from coordq.work.flow.step import Group, Step
from coordq.work.flow.told import Told, nearest

FILES_MAX: Final = 200
"""Files that one flow is made of, those that are read again among them."""
DEPTH_MAX: Final = 20
"""Files within each other."""
SUFFIXES: Final = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where the files of one flow may lie, and which of them are being read."""

    root: Path
    chain: tuple[Path, ...]
    """From the first file to the one at hand."""
    opened: list[Path]
    """All that were read, shared by all who read for one flow."""

    @classmethod
    def of(cls, path: Path) -> Shelf:
        """For a flow whose file lies at `path`."""
        whole = path.resolve()
        return cls(whole.parent, (whole,), [])

    def find(self, told: Told, place: str, name: str) -> tuple[Path, Shelf]:
        """The file that another one names, and the shelf for reading that. Raises InvalidFlow."""
        path = told.path.parent / name
        whole = path.resolve()
        if not whole.is_relative_to(self.root):
            told.refuse(
                place,
                f"{name} lies outside {self.root}: a flow file can take in files of its own folder "
                "and of folders in it; copy it there",
            )
        if whole in self.chain:
            loop = (*self.chain[self.chain.index(whole) :], whole)
            shown = " -> ".join(str(one.relative_to(self.root)) for one in loop)
            told.refuse(place, f"these files take each other in for ever: {shown}")
        if not whole.is_file():
            told.refuse(place, f"there is no file {path}{_nearest_file(path)}")
        self.opened.append(whole)
        if len(self.opened) > FILES_MAX or len(self.chain) >= DEPTH_MAX:
            told.refuse(
                place,
                f"more than {FILES_MAX} files, or {DEPTH_MAX} within each other, are one flow: "
                "build it in Python",
            )
        return path, replace(self, chain=(*self.chain, whole))


def _nearest_file(path: Path) -> str:
    try:
        there = [one.name for one in path.parent.iterdir() if one.suffix.lower() in SUFFIXES]
    except OSError:
        return ": its path counts from the folder of this file"
    return nearest(path.name, there)


@dataclass(frozen=True, slots=True)
class Part:
    """A flow that is to become part of another one."""

    flow: Flow
    made: Mapping[str, Step | Group]
    """What its file calls by a key."""

    def names(self, key: str) -> list[str]:
        """What the outer file may call it and its tasks."""
        return [f"{key}.{one}" for one in self.made]

    def put(self, flow: Flow, key: str, after: list[Step | Group]) -> dict[str, Step | Group]:
        """Take it into a flow; its tasks by what the outer file calls them. Raises InvalidFlow."""
        flow.include(self.flow, key=key, after=after)
        for one in self.flow.about["milestones"]:
            needs = [flow[f"{key}.{inner}"] for inner in one["needs"]]
            by = {"by": one["by"] / 1000} if "by" in one else {}
            flow.milestone(f"{key}.{one['name']}", needs=needs, **by)
        return {f"{key}.{inner}": self._twin(flow, key, one) for inner, one in self.made.items()}

    def returned(self, flow: Flow, key: str) -> Step | None:
        """The step whose result is its own, in the flow that it was put into."""
        inner = self.flow.returned
        return None if inner is None else flow[f"{key}.{inner.key}"]

    def ends(self, flow: Flow, key: str) -> Group:
        """All that nothing comes after when it succeeds, in the flow that it was put into."""
        members = self.flow.members
        before = {
            parent
            for member in members.values()
            for parent, tie in member.ties.items()
            if tie.on != "failure"
        }
        ends = [
            flow[f"{key}.{step.key}"]
            for step, member in members.items()
            if step not in before and member.stands_for is None
        ]
        return Group(flow, ends)

    @staticmethod
    def _twin(flow: Flow, key: str, one: Step | Group) -> Step | Group:
        if isinstance(one, Step):
            return flow[f"{key}.{one.key}"]
        if one.over is not None:
            return Group(flow, (), over=flow[f"{key}.{one.over.key}"])
        return Group(flow, [flow[f"{key}.{step.key}"] for step in one])
