"""The job as a flow: map over files, a closer look at complex ones, and a report of all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from coordq.client.plan import chunks
from coordq.work.flow.build import Flow
from coordq.work.flow.step import Step

TALLY_MAX: Final = 100  # files whose figures one task adds up
COMPLEX: Final = 25  # branches of a function from which on its file is looked at closely


def audit_flow(files: Sequence[Path]) -> Flow:
    """What `coordq demo` runs; the agents are those of workers/audit.py."""
    flow = Flow("audit", description=f"{len(files):,} files, map and reduce", ttl=3600)
    tallies = [_tally(flow, part) for part in chunks(files, TALLY_MAX)]
    flow.join("audit_report", tallies, into="tallies", key="report")
    return flow


def _tally(flow: Flow, files: Sequence[Path]) -> Step:
    """Some files, and the sum of their figures; one that cannot be had does not hold it up."""
    audits = [_audit(flow, file) for file in files]
    deep = [_deep(flow, audit, file) for audit, file in zip(audits, files, strict=True)]
    figures = {"figures": audits, "spots": deep}
    return flow.task("audit_tally", figures, if_failed="continue")


def _audit(flow: Flow, file: Path) -> Step:
    args = {"path": str(file)}
    return flow.task("audit_file", args, fallback=("audit_text", args))


def _deep(flow: Flow, audit: Step, file: Path) -> Step:
    closer = f"worst.complexity >= {COMPLEX}"
    return flow.task("audit_deep", {"path": str(file)}, after=audit, when=closer, if_failed="skip")
