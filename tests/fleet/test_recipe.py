"""What a fleet file says becomes command lines that the commands understand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from coordq.fleet.file import FleetFile, parse_file
from coordq.interfaces.cli.root import cli
from coordq.runtime.spawner.recipe import Origin, Recipe, recipes

ORIGIN = Origin("shop", Path("folder"), log_format="json", log_level="warning")
WHOLE = """
zone = "rack-1"
environment = { LEVEL = "info", A = "1" }

[groups.mail]
targets = ["./workers", "-odd"]
queues = ["urgent:3", "mail"]
min = 0
max = 8
processes = 2
concurrency = 4
threads = 2
labels = { gpu = "yes", room = "a=b" }
beat = "500ms"
lease = "2s"
environment = { LEVEL = "debug" }
limits = { max_rss = 512.5, max_tasks = 1000000, drain_timeout = "1m", nice = 5 }
stall = { after = "5s", policy = "kill" }
restart = { restarts = 3, per = "1m", first = "100ms", longest = "5s" }
autoscale = { scale_up_age = "2s", utilisation = 0.5, cooldown = "1m" }

[supervisor]
zone = "rack-2"
lease = "5s"
on_minority = "continue"
audit_every = "2m"
dead_retention = "30d"
event_retention = "7d"
stuck_after = "10m"
health_port = 9000
health_host = "0.0.0.0"
"""


def file(text: str) -> FleetFile:
    """A fleet file."""
    return parse_file(text, Path("fleet.toml"), {})


def understood(recipe: Recipe) -> dict[str, Any]:
    """What the command makes of the command line."""
    words = [*recipe.command, "--name", f"{recipe.name}.1", "--tether", "5,6", *recipe.after]
    assert words[1:4] == ["-P", "-m", "coordq"]
    root = click.Context(cli)
    command = cli.get_command(root, words[4])
    assert command is not None
    return command.make_context(words[4], words[5:], parent=root).params


def test_everything_in_a_group_reaches_its_workers() -> None:
    """Each key of the file is a flag, or is kept by the spawner."""
    mail, _ = recipes(file(WHOLE), ORIGIN)

    assert understood(mail) == understood(mail) | {
        "targets": ("./workers", "-odd"),
        "name": "shop.mail.1",
        "queues": (("urgent", 3), ("mail", 1)),
        "processes": 2,
        "concurrency": 4,
        "threads": 2,
        "zone": "rack-1",
        "label": (("gpu", "yes"), ("room", "a=b")),
        "beat": 0.5,
        "lease": 2.0,
        "max_tasks": 1_000_000,
        "max_rss": 512.5,
        "drain_timeout": 60.0,
        "stall_after": 5.0,
        "stall_policy": "kill",
        "log_format": "json",
        "log_level": "warning",
        "tether": (5, 6),
    }
    assert (mail.size, mail.nice, mail.drain_s, mail.queues) == (0, 5, 60, ("urgent", "mail"))
    assert mail.rule is not None
    assert (mail.rule.least, mail.rule.most, mail.rule.scale_up_age_s) == (0, 8, 2)
    assert (mail.budget.restarts, mail.budget.per_s, mail.budget.first_s) == (3, 60, 0.1)


def test_everything_in_its_table_reaches_the_supervisor() -> None:
    """It comes last, and there is one."""
    *_, supervisor = recipes(file(WHOLE), ORIGIN)

    assert understood(supervisor) == understood(supervisor) | {
        "name": "shop.supervisor.1",
        "zone": "rack-2",
        "leader_lease": 5.0,
        "on_minority": "continue",
        "audit_every": 120.0,
        "dead_retention": 30 * 86_400.0,
        "event_retention": 7 * 86_400.0,
        "stuck_after": 600.0,
        "health_port": 9000,
        "health_host": "0.0.0.0",
    }
    assert (supervisor.is_supervisor, supervisor.size) == (True, 1)
    assert supervisor.alone, "its port is taken while it runs"


def test_what_is_not_said_is_left_to_the_command() -> None:
    """Its defaults may change, and a file that says nothing follows."""
    (web,) = recipes(file("[groups.web]\ntargets = 'x'"), ORIGIN)

    assert {"--lease", "--zone", "--queues", "--label"}.isdisjoint(web.command)


def test_the_environment_is_ours_and_what_the_file_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The group is stronger than the file, and that than our own; our flags are not handed on."""
    monkeypatch.setenv("COORDQ_WORKER_HEALTH_PORT", "8070")
    monkeypatch.setenv("COORDQ_DEBUG", "1")
    monkeypatch.setenv("LEVEL", "ours")
    (mail, supervisor) = recipes(file(WHOLE), ORIGIN)

    assert (mail.environment["LEVEL"], mail.environment["A"]) == ("debug", "1")
    assert supervisor.environment["LEVEL"] == "info"
    assert mail.environment["COORDQ_DEBUG"] == "1"
    assert "COORDQ_WORKER_HEALTH_PORT" not in mail.environment, "one port for all would be refused"


def test_the_address_is_not_on_the_command_line() -> None:
    """There everybody on the machine could read the password."""
    origin = Origin("shop", Path(), url="redis://:s3cret@db", namespace="prod")
    (web,) = recipes(file("[groups.web]\ntargets = 'x'"), origin)

    assert "s3cret" not in " ".join([*web.command, *web.after])
    assert web.environment["COORDQ_URL"] == "redis://:s3cret@db"
    assert web.environment["COORDQ_NAMESPACE"] == "prod"
