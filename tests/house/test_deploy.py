"""The files in scripts/deploy say what coordq understands, and leave it the time it needs."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import click
import pytest

from coordq.interfaces.cli.root import cli
from coordq.runtime.shutdown import STOP_S
from coordq.spans import parse_span

DEPLOY = Path(__file__).resolve().parents[2] / "scripts" / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
MANIFEST = (DEPLOY / "kubernetes.yaml").read_text()

every_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)


class Unit(ConfigParser):
    """A unit's sections."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def read(unit: Path) -> ConfigParser:
    """A unit's sections, with keys as they are written."""
    parser = Unit(interpolation=None, strict=True)
    parser.read_string(unit.read_text())
    return parser


def parsed(words: list[str]) -> click.Context:
    """A command line, read by the command itself. Raises what is wrong with it."""
    root = click.Context(cli)
    command = cli.get_command(root, words[0])
    assert command is not None, words
    return command.make_context(words[0], words[1:], parent=root)


@every_unit
def test_a_unit_starts_a_command_that_exists(unit: Path) -> None:
    """Each flag of its ExecStart is one of that command."""
    words = shlex.split(read(unit)["Service"]["ExecStart"].replace("%H", "host").replace("%i", "1"))

    assert words[:2] == ["/usr/bin/env", "coordq"]
    assert parsed([*words[2:], *(["x"] if words[2] == "worker" else [])]).params["name"]


@every_unit
def test_a_unit_leaves_time_to_drain(unit: Path) -> None:
    """Systemd kills what is left after TimeoutStopSec: by then everything was given back."""
    service = read(unit)["Service"]
    words = shlex.split(service["ExecStart"])
    drain_s = 0.0
    if "--drain-timeout" in words:
        drain_s = parse_span(words[words.index("--drain-timeout") + 1]) or 0

    assert float(service["TimeoutStopSec"]) > drain_s + STOP_S


@every_unit
def test_systemd_takes_a_unit(unit: Path, tmp_path: Path) -> None:
    """Every key is one that it knows."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("there is no systemd-analyze on this machine")
    name = f"{unit.stem}@.service" if "%i" in unit.read_text() else unit.name
    shutil.copy(unit, tmp_path / name)

    done = subprocess.run(
        [program, "verify", str(tmp_path / name)], capture_output=True, text=True, check=False
    )

    assert [line for line in done.stderr.splitlines() if name in line] == []


# -- Kubernetes ----------------------------------------------------------------------------------


def documents() -> dict[str, str]:
    """The manifest's documents, by kind and name."""
    parts = [part for part in re.split(r"^---\n", MANIFEST, flags=re.MULTILINE) if "kind:" in part]
    found = {}
    for part in parts:
        kind = re.search(r"^kind: (\w+)$", part, re.MULTILINE)
        name = re.search(r"^  name: ([\w-]+)$", part, re.MULTILINE)
        assert kind is not None
        assert name is not None
        found[f"{kind[1]} {name[1]}"] = part
    return found


def variables(document: str) -> dict[str, str]:
    """The COORDQ_ variables that a Deployment sets, with their values where these stand there."""
    plain = dict(re.findall(r'name: (COORDQ_\w+), value: "([^"]*)"', document))
    return {name: plain.get(name, "x") for name in re.findall(r"name: (COORDQ_\w+)", document)}


def test_the_manifest_has_what_its_head_promises() -> None:
    """Workers, supervisors, where to ask, and who asks."""
    assert list(documents()) == [
        "Deployment coordq-worker",
        "Deployment coordq-supervisor",
        "Service coordq-supervisor",
        "ScaledObject coordq-worker",
    ]
    assert "\t" not in MANIFEST, "YAML knows no tabs"
    indents = {len(line) - len(line.lstrip()) for line in MANIFEST.splitlines() if line.strip()}
    assert all(indent % 2 == 0 for indent in indents)


@pytest.mark.parametrize("verb", ["worker", "supervisor"])
def test_each_variable_is_a_flag(verb: str) -> None:
    """A variable with a typing error would be ignored, silently, for ever."""
    document = documents()[f"Deployment coordq-{verb}"]
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    flags = {f"COORDQ_{verb.upper()}_{(param.name or '').upper()}" for param in command.params}

    assert set(variables(document)) - flags == {"COORDQ_URL"}
    args = re.search(r"args: \[(.*)\]", document)
    assert args is not None
    parsed([word.strip().strip('"') for word in args[1].split(",")])


def test_kubernetes_leaves_time_to_drain() -> None:
    """KILL comes after the grace period: by then everything was given back."""
    document = documents()["Deployment coordq-worker"]
    grace = re.search(r"terminationGracePeriodSeconds: (\d+)", document)
    assert grace is not None
    drain_s = float(variables(document)["COORDQ_WORKER_DRAIN_TIMEOUT"])

    assert float(grace[1]) > drain_s + STOP_S


def test_keda_asks_where_the_supervisors_answer() -> None:
    """The port, the path and the figure."""
    service = documents()["Service coordq-supervisor"]
    supervisor = documents()["Deployment coordq-supervisor"]
    (port,) = re.findall(r"port: (\d+)", service)

    assert f'"--health-port", "{port}"' in supervisor
    assert f"containerPort: {port}" in supervisor
    scaler = documents()["ScaledObject coordq-worker"]
    assert f"coordq-supervisor.coordq.svc:{port}/backlog" in scaler
    assert 'valueLocation: "load"' in scaler
