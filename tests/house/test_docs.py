"""The documents are true: what they show runs, what exists is in them, what is made is up to date.

Tables that follow from the code stand between `<!-- made from ... -->` and `<!-- end -->`. When
the code changes, `REWRITE=1 ./scripts/test tests/house/test_docs.py` writes them anew.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import coordq
from coordq import errors
from coordq.engine import agent_keys, bus_keys, keys
from coordq.interfaces.cli.root import HOMES, cli
from coordq.work import hints
from coordq.work.task import NEXT, TERMINAL

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in (
        "*.md",
        "coordq/*/README.md",
        "coordq/*/*/README.md",
        "lua/*.md",
        "workers/*.md",
        "scripts/*/*.md",
        "tests/*/*.md",
    )
    for path in ROOT.glob(pattern)
)
ALL_WORDS = "\n".join(path.read_text() for path in DOCUMENTS)
README = (ROOT / "README.md").read_text()
FIGURES = (ROOT / "FIGURES.md").read_text()
COMMANDS = (ROOT / "coordq" / "interfaces" / "README.md").read_text()
README_MAX = 200
"""Lines: what somebody reads before they decide."""
INNER = {
    "client.breakers.ask",
    "client.breakers.bulkhead",
    "client.breakers.told",
    "client.sessions.speaking",
}
"""Verbs that our own code uses, and nobody else."""
ERROR_HOMES = {errors.__name__, hints.__name__}
"""Where errors are."""


def blocks(language: str, text: str = README) -> list[str]:
    """The code blocks in a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_readme_is_short() -> None:
    """What is longer has a page of its own, and a link."""
    assert len(README.splitlines()) <= README_MAX


# -- what is shown runs --------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A folder with the README's first example, and an environment without any settings."""
    (tmp_path / "greet.py").write_text(blocks("python")[0])
    environment = {key: value for key, value in os.environ.items() if key[:7] != "COORDQ_"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    environment["XDG_DATA_HOME"] = environment["HOME"] = str(tmp_path / "home")
    return tmp_path, environment


def test_the_first_example_has_twelve_lines() -> None:
    """Short enough to be read before anybody decides whether to read on."""
    assert len(blocks("python")[0].splitlines()) == 12


def test_the_first_example_runs_as_pasted(project: tuple[Path, dict[str, str]]) -> None:
    """Nothing but the package: no server, no setting. Only the install line is left out."""
    folder, environment = project
    commands = blocks("sh")[0].splitlines()
    assert commands.pop(0).startswith("pip install")
    script = "set -m\n" + "\n".join(commands) + "\nwait\n"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert "Hello, Ada!" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0, done.stderr


def test_the_other_examples_run(redis_url: str, namespace: str) -> None:
    """Each Python block runs, with the address of a server that is there."""
    for code in blocks("python")[1:]:
        there = code.replace("redis://localhost:6379", f"{redis_url}?ns={namespace}")
        assert there != code
        exec(compile(there, "README.md", "exec"), {"__name__": "readme"})  # noqa: S102


def called(code: str) -> Iterator[tuple[str, str]]:
    """Each door and verb in `client.<door>.<verb>`."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            owner = node.value
            if isinstance(owner.value, ast.Name) and owner.value.id == "client":
                yield owner.attr, node.attr


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_pages_of_the_rooms_call_what_is_there(path: Path, redis_url: str) -> None:
    """Their examples are parts of a program: they are Python, and each verb is on its door."""
    with coordq.connect(redis_url) as client:
        missing = [
            f"client.{door}.{verb}"
            for code in blocks("python", path.read_text())
            for door, verb in called(code)
            if not hasattr(getattr(client, door, None), verb)
        ]

    assert missing == []


# -- figures -------------------------------------------------------------------------------------


def test_each_figure_of_the_readme_is_one_of_those_that_were_measured() -> None:
    """FIGURES.md says when and how: a figure that is taken anew is written in both."""
    numbers = re.compile(r"\d[\d,]*(?:\.\d+)?")
    measured = {float(one.replace(",", "")) for one in numbers.findall(FIGURES)}
    rows = re.findall(r"^\| (.*) \| (.*) \| `scripts/.*\.py.*` \|$", README, re.MULTILINE)

    assert len(rows) >= 8
    for figure, value in rows:
        found = {float(one.rstrip(",").replace(",", "")) for one in numbers.findall(value)}
        assert found <= measured, figure


def test_every_program_that_is_named_exists() -> None:
    """A figure without the command that prints it is a claim."""
    named = set(re.findall(r"`(?:\./|\.venv/bin/python )?(scripts/\w+(?:\.py)?)\b", ALL_WORDS))

    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


# -- what exists is written down -----------------------------------------------------------------


def commands(group: click.Group, words: str = "coordq") -> Iterator[tuple[str, click.Command]]:
    """Every command, as it is typed."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        path = f"{words} {name}"
        if not isinstance(command, click.Group):
            yield path, command
            continue
        if command.invoke_without_command:
            yield path, command
        yield from commands(command, path)


@pytest.mark.parametrize("command", [path for path, _ in commands(cli)])
def test_every_command_is_documented(command: str) -> None:
    """A command that no page names is found by nobody; the README has what each begins with."""
    assert f"`{command}`" in COMMANDS
    assert f"`{' '.join(command.split()[:2])}`" in README


def settings() -> set[str]:
    """Every environment variable that the package reads by name."""
    source = "\n".join(
        path.read_text()
        for folder in ("coordq", "workers")
        for path in (ROOT / folder).rglob("*.py")
        if "bench" not in path.parts
    )
    read = re.findall(r'(?:settings\.get\(|^SETTING: Final = )"(\w+)"', source, re.MULTILINE)
    return {f"COORDQ_{name}" for name in read} | set(re.findall(r'"(COORDQ_[A-Z_]+[A-Z])"', source))


@pytest.mark.parametrize("setting", sorted(settings()))
def test_every_setting_is_documented(setting: str) -> None:
    """Whatever changes how coordq behaves can be looked up."""
    assert f"`{setting}`" in ALL_WORDS


def test_every_verb_is_documented(redis_url: str) -> None:
    """Each verb of each door of a client is in the client's README, where it tells of that door."""
    text = (ROOT / "coordq" / "client" / "README.md").read_text()
    parts = re.split(r"^(?=`client\.)", text, flags=re.MULTILINE)[1:]
    told = {part.split("`")[1]: part for part in parts}
    with coordq.connect(redis_url) as client:
        doors = {name: type(door) for name, door in vars(client).items() if name[0] != "_"}
    verbs = {
        f"client.{name}.{verb}": f"`{verb}`" in told.get(f"client.{name}", "")
        for name, door in doors.items()
        if door.__module__.startswith("coordq.client.")
        for verb in vars(door)
        if verb[0] != "_"
    }

    assert len(doors) > 10
    assert {verb for verb, is_told in verbs.items() if not is_told} <= INNER


def test_every_link_leads_somewhere() -> None:
    """Links between documents, and the headings they point at."""
    for path in DOCUMENTS:
        for target, heading in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", path.read_text()):
            found = (path.parent / target).resolve() if target else path
            file = found / "README.md" if found.is_dir() else found
            assert file.exists(), f"{path.name}: {target}"
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE) if heading else []
            assert not heading or heading in [text.lower().replace(" ", "-") for text in headings]


def test_every_page_can_be_reached_from_the_readme() -> None:
    """A page that nothing links to is read by nobody."""
    reached: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        path = ahead.pop()
        if path not in reached:
            reached.add(path)
            targets = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text())
            found = [(path.parent / target).resolve() for target in targets]
            pages = [one / "README.md" if one.is_dir() else one for one in found]
            ahead += [page for page in pages if page.suffix == ".md"]

    assert set(DOCUMENTS) - reached == set()


def test_the_tour_leads_through_every_chapter() -> None:
    """In the order of their numbers, of which no two are the same."""
    folder = ROOT / "tests" / "manual"
    chapters = sorted(path.name for path in folder.glob("test_*.py"))
    tour = (folder / "README.md").read_text()
    listed = re.findall(r"^\| `(test_\w+\.py)` \|", tour, re.MULTILINE)

    assert listed == chapters
    assert len({name.split("_")[1] for name in chapters}) == len(chapters)


def test_documents_name_no_machine() -> None:
    """No paths of somebody's home, no private hosts: the documents are everybody's."""
    found = re.findall(r"(?<![\w.])/(?:home|root|Users|work|tmp)/\w+", ALL_WORDS)

    assert found == []


# -- what is made is up to date ------------------------------------------------------------------


def first_line(doc: str | None) -> str:
    """The first paragraph of a docstring, on one line, safe inside a table."""
    return " ".join((doc or "").split("\n\n")[0].split()).replace("|", "\\|")


def states() -> str:
    """The state diagram."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for state, events in NEXT.items():
        for event, then in events.items():
            arrows.setdefault((state.value, then.value), []).append(event)
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> ready", "    [*] --> scheduled"]
    lines += [f"    {a} --> {b}: {', '.join(names)}" for (a, b), names in arrows.items()]
    lines += [f"    {state.value} --> [*]" for state in sorted(TERMINAL)]
    return "\n".join([*lines, "```"])


def key_table() -> str:
    """Every key with its type."""
    rows = []
    functions = [
        *inspect.getmembers(keys, inspect.isfunction),
        *inspect.getmembers(bus_keys, inspect.isfunction),
        *inspect.getmembers(agent_keys, inspect.isfunction),
    ]
    for name, function in functions:
        if name != "root":
            words = [f"<{word}>" for word in list(inspect.signature(function).parameters)[1:]]
            rows.append(f"| `{function('', *words)}` | {first_line(function.__doc__)} |")
    return "\n".join(["| key | holds |", "|---|---|", *sorted(rows)])


def error_table() -> str:
    """Every error, parents before children."""

    def below(kind: type[errors.CoordqError], depth: int) -> Iterator[str]:
        for child in sorted(kind.__subclasses__(), key=lambda one: one.__name__):
            if child.__module__ in ERROR_HOMES:
                indent = "&nbsp;&nbsp;" * depth
                said = first_line(child.__doc__)
                name = f"{indent}`{child.__name__}`"
                yield f"| `{child.code}` | {name} | {child.exit_code} | {said} |"
                yield from below(child, depth + 1)

    return "\n".join(
        ["| code | error | exit | means |", "|---|---|---|---|", *below(errors.CoordqError, 0)]
    )


def script_table() -> str:
    """Every script, in the first sentence of its header."""
    rows = []
    for path in sorted((ROOT / "lua").rglob("*.lua")):
        name = path.relative_to(ROOT / "lua").with_suffix("")
        header = path.read_text().split("]]")[0]
        said = header.split("\n\n")[0].partition(":")[2]
        rows.append(f"| `{name}` | {' '.join(said.split())} |")
    return "\n".join(["| script | does |", "|---|---|", *rows])


def command_table() -> str:
    """Every command by section, in the first sentences of its help."""
    lines = []
    for section in dict.fromkeys(home.section for home in HOMES.values()):
        lines += [f"### {section}", "", "| command | does |", "|---|---|"]
        for path, command in commands(cli):
            if HOMES[path.split()[1]].section == section:
                lines.append(f"| `{path}` | {first_line(command.help)} |")
        lines.append("")
    return "\n".join(lines).rstrip()


MADE: dict[str, Callable[[], str]] = {
    "coordq/work/README.md": states,
    "coordq/engine/README.md": key_table,
    "coordq/interfaces/README.md": command_table,
    "coordq/client/README.md": error_table,
    "lua/README.md": script_table,
}
_SECTION = re.compile(r"(<!-- made from [^>]*-->\n)(.*?)(<!-- end -->)", re.DOTALL)


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_from_code_is_up_to_date(name: str) -> None:
    """A table that was right once is worse than none: with REWRITE=1 it is written anew."""
    path = ROOT / name
    text = path.read_text()
    fresh = _SECTION.sub(lambda found: f"{found[1]}\n{MADE[name]()}\n\n{found[3]}", text)
    if os.environ.get("REWRITE"):
        path.write_text(fresh)
        return

    assert fresh == text, f"{name} is out of date: run REWRITE=1 pytest {Path(__file__).name}"


def test_every_error_code_is_unique() -> None:
    """A code stands for one thing, and lists of errors are complete."""
    kinds: list[Any] = [
        kind for _, kind in inspect.getmembers(errors, inspect.isclass) if hasattr(kind, "code")
    ]

    assert len({kind.code for kind in kinds}) == len(kinds)
    for kind in kinds[1:]:
        assert kind.__doc__, kind.__name__
        assert f"`{kind.code}`" in ALL_WORDS or kind is errors.CoordqError
