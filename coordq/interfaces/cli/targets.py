"""What a worker is to run, when nobody says so."""

from __future__ import annotations

from pathlib import Path

import click


def chosen_targets(targets: tuple[str, ...]) -> tuple[str, ...]:
    """The targets given, or ./workers. Raises UsageError when there is neither."""
    if targets:
        return targets
    if Path("workers").is_dir():
        return ("./workers",)
    raise click.UsageError("Nothing to run: name a file, a folder or a module (no ./workers here).")
