"""What needs no Redis: init, completion, version."""

from __future__ import annotations

import platform
import re
import sys
from pathlib import Path
from typing import Final

import click

from coordq.errors import InvalidInput, Refused
from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import say, show_facts, show_json

_README: Final = """# {name}

Work for agents, kept in one Redis by coordq.

| | |
| --- | --- |
| `workers/` | the agents, one file each: change them, add yours |
| `fleet.toml` | which groups of workers one machine runs |

## Run it

    coordq dev

starts a private Redis, a worker that reloads when a file changes, and a live view. In a second
terminal:

    coordq enqueue echo text=hi --wait
    coordq ls
    coordq why <id>

## Run it for real

    export COORDQ_URL=redis://your-redis:6379/0
    coordq doctor
    coordq fleet up
"""

_FLEET: Final = """\
# Groups of workers on one machine: coordq fleet up. --check says whether this file is right.
# url = "redis://:${{REDIS_PASSWORD}}@your-redis:6379"    # by default COORDQ_URL
name = "{name}"

[groups.default]
targets = ["./workers"]
min = 1
max = 4                 # as many as the tasks need; or: workers = 4
# queues = ["urgent:3", "default"]    # by default those that the tasks name
# processes = 1         # children of each worker
# concurrency = 16      # tasks that a child holds at once

[groups.default.limits]
drain_timeout = "30s"   # to finish what runs, when the fleet goes down

[supervisor]            # one beside the groups; run another on a second machine
"""


@click.command("init", cls=Command)
@click.argument("folder", default=".", metavar="[DIR]", type=click.Path(path_type=Path))
@common
def init_command(session: Session, *, folder: Path) -> None:
    """Make a new project in DIR from the ready-made workers; nothing is overwritten."""
    files = _files(folder)
    _check_free(folder, files)
    try:
        for place, text in files.items():
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise InvalidInput(f"Cannot write {error.filename}: {error.strerror}.") from error
    if session.json:
        show_json({"folder": str(folder), "files": [str(place) for place in files]})
        return
    for place in files:
        say(f"made {place}")
    there = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    say(f"\nNext: {there}coordq dev")


def _files(folder: Path) -> dict[Path, str]:
    """What goes where."""
    from coordq.runtime.loader import builtin_workers

    workers = sorted(builtin_workers().glob("*.py"))
    files = {
        folder / "workers" / source.name: source.read_text(encoding="utf-8")
        for source in workers
        if source.name != "__init__.py"
    }
    name = folder.resolve().name
    short = re.sub(r"[^A-Za-z0-9_.-]", "-", name).lstrip(".-")[:40] or "fleet"
    files[folder / "fleet.toml"] = _FLEET.format(name=short)
    return {**files, folder / "README.md": _README.format(name=name)}


def _check_free(folder: Path, files: dict[Path, str]) -> None:
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(f"{folder} is a file, not a folder.")
    there = [place for place in (folder / "workers", *files) if place.exists()]
    if there:
        raise Refused(
            f"{there[0]} is already there and would be overwritten; nothing was changed. "
            "Name another folder.",
            there=[str(place) for place in there],
        )


@click.command("completion", cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    r"""Print the completion script of a shell.

    \b
    bash: coordq completion bash > ~/.local/share/bash-completion/completions/coordq
    zsh:  coordq completion zsh > "${fpath[1]}/_coordq"
    fish: coordq completion fish > ~/.config/fish/completions/coordq.fish
    """
    from click.shell_completion import get_completion_class

    from coordq.interfaces.cli.root import cli

    kind = get_completion_class(shell)
    assert kind is not None
    say(kind(cli, {}, "coordq", "_COORDQ_COMPLETE").source())


@click.command("version", cls=Command)
@common
def version_command(session: Session) -> None:
    """Print the versions of coordq and what it runs on."""
    from importlib.metadata import PackageNotFoundError, version

    import coordq

    facts = {"coordq": coordq.__version__, "python": platform.python_version()}
    for package in ("redis", "hiredis", "uvloop"):
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "none"
    facts["system"] = f"{sys.platform} {platform.machine()}"
    if session.json:
        show_json(facts)
    else:
        show_facts(list(facts.items()))
