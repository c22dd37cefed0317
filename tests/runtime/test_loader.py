"""Targets become agents: by path, privately, completely or not at all."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from coordq.errors import InvalidAgent
from coordq.runtime import loader
from coordq.runtime.loader import APP, Loaded, builtin_workers, load, watched

ECHO = """
from coordq import Agent
agent = Agent({agent!r})

@agent.task()
async def {task}(text: str) -> str:
    return text
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of a user, not the current one, with nothing of it left loaded after."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    made = tmp_path / "app"
    made.mkdir()
    return made


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    return file


def agent_file(file: Path, *, agent: str = "echo", task: str = "echo") -> Path:
    return write(file, ECHO.format(agent=agent, task=task))


def names(loaded: Loaded) -> list[str]:
    return [agent.name for agent in loaded.agents]


def private_modules() -> set[str]:
    return {name for name in sys.modules if name.startswith(APP)}


def test_a_file_is_a_target(folder: Path) -> None:
    """The shortest way to run something is to name the file it is in."""
    file = agent_file(folder / "echo.py")

    loaded = load([str(file)])

    assert names(loaded) == ["echo"]
    assert loaded.files == [file]


def test_a_folder_is_a_target(folder: Path) -> None:
    """Every file of the folder is loaded, in the order of their names."""
    agent_file(folder / "b.py", agent="b", task="tb")
    agent_file(folder / "a.py", agent="a", task="ta")

    assert names(load([str(folder)])) == ["a", "b"]


def test_an_object_of_a_file_is_a_target(folder: Path) -> None:
    """With two agents in a file, one may be started without the other."""
    file = write(
        folder / "two.py", ECHO.format(agent="a", task="ta") + "first = agent\nagent = None\n"
    )
    file.write_text(file.read_text() + ECHO.format(agent="b", task="tb"))

    assert names(load([f"{file}:first"])) == ["a"]


def test_a_module_is_a_target(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module in the current directory is importable, as it is for `python -m`."""
    agent_file(folder / "loadable_pkg" / "crawl.py", agent="crawler")
    write(folder / "loadable_pkg" / "__init__.py", "")
    monkeypatch.chdir(folder)

    loaded = load(["loadable_pkg.crawl"])

    assert names(loaded) == ["crawler"]
    assert sys.modules["loadable_pkg.crawl"].agent is loaded.agents[0]


def test_an_object_of_a_module_is_a_target(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`module:object` is what users of gunicorn and uvicorn try first."""
    agent_file(folder / "loadable_one.py", agent="one")
    monkeypatch.chdir(folder)

    assert names(load(["loadable_one:agent"])) == ["one"]


def test_a_real_package_named_bare_is_a_module(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside a package the imports say its name, so it has to be loaded under that name."""
    write(folder / "loadable_app" / "shared.py", "NAME = 'shared'")
    write(
        folder / "loadable_app" / "__init__.py",
        "from coordq import Agent\nfrom loadable_app.shared import NAME\n"
        "agent = Agent(NAME)\n\n@agent.task()\nasync def go() -> None: ...\n",
    )
    monkeypatch.chdir(folder)

    assert names(load(["loadable_app"])) == ["shared"]


def test_files_of_a_folder_import_each_other_relatively(folder: Path) -> None:
    """What several agents share lives in a file that starts with an underscore."""
    write(folder / "_shared.py", "NAME = 'from-shared'")
    write(
        folder / "a.py",
        "from coordq import Agent\nfrom ._shared import NAME\nagent = Agent(NAME)\n\n"
        "@agent.task()\nasync def go() -> None: ...\n",
    )

    assert names(load([str(folder)])) == ["from-shared"]


@pytest.mark.parametrize("name", ["_private.py", "test_a.py", "a_test.py", "conftest.py"])
def test_private_files_and_tests_are_not_loaded_on_their_own(folder: Path, name: str) -> None:
    """Loading a folder must not run its tests, nor anything that is marked as a part of others."""
    agent_file(folder / "echo.py")
    write(folder / name, "raise SystemExit('loaded')")

    assert names(load([str(folder)])) == ["echo"]


def test_a_private_file_is_loaded_when_it_is_named(folder: Path) -> None:
    """The underscore hides a file from its folder, not from someone who asks for it."""
    assert names(load([str(agent_file(folder / "_draft.py"))])) == ["echo"]


def test_a_users_redis_does_not_shadow_the_library(folder: Path) -> None:
    """With sys.path, a file called redis.py would be what every library gets for `import redis`."""
    agent_file(folder / "redis.py", agent="mine")

    loaded = load([str(folder)])

    import redis

    assert names(loaded) == ["mine"]
    assert hasattr(redis, "Redis")
    assert str(folder) not in sys.path


def test_two_folders_may_have_files_of_one_name(folder: Path) -> None:
    """Modules are private to their folder, so names of files need not be unique."""
    first = agent_file(folder / "x" / "echo.py", agent="x", task="tx")
    second = agent_file(folder / "y" / "echo.py", agent="y", task="ty")

    assert names(load([str(first), str(second)])) == ["x", "y"]


def test_an_agent_that_two_files_import_counts_once(folder: Path) -> None:
    """One agent may have its tasks spread over files that all import it."""
    write(folder / "_agent.py", "from coordq import Agent\nagent = Agent('one')\n")
    for name in ("a", "b"):
        write(
            folder / f"{name}.py",
            f"from ._agent import agent\n\n@agent.task()\nasync def {name}() -> None: ...\n",
        )

    loaded = load([str(folder)])

    assert names(loaded) == ["one"]
    assert set(loaded.agents[0].handlers) == {"a", "b"}


def test_loading_twice_gives_the_same_agents(folder: Path) -> None:
    """Like an import: code that keeps an agent in a variable sees the one that runs."""
    file = agent_file(folder / "echo.py")

    assert load([str(file)]).agents[0] is load([str(folder)]).agents[0]


def test_a_spawned_process_gives_modules_the_same_names(folder: Path) -> None:
    """A child that was spawned, not forked, has to understand what its parent's objects are."""
    file = agent_file(folder / "echo.py")
    load([str(file)])
    code = (
        "import sys, json; from coordq.runtime.loader import *; load([sys.argv[1]]);"
        "print(json.dumps([n for n in sys.modules if n.startswith(APP)]))"
    )

    there = subprocess.run(
        [sys.executable, "-c", code, str(file)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(loader.__file__).parents[2],
    )

    assert set(json.loads(there.stdout)) <= private_modules()
    assert any(name.endswith(".echo") for name in json.loads(there.stdout))


# What cannot be loaded


def refused(target: str | Path) -> InvalidAgent:
    before, path = private_modules(), list(sys.path)
    with pytest.raises(InvalidAgent) as caught:
        load([str(target)])
    assert private_modules() == before
    assert sys.path == path
    return caught.value


def test_a_syntax_error_names_its_line(folder: Path) -> None:
    """The line that is wrong, not the line of ours that tried to import it."""
    file = write(folder / "bad.py", "x = 1\ndef broken(:\n")

    error = refused(folder)

    assert (error.file, error.line) == (str(file), 2)
    assert "SyntaxError" in str(error)
    assert "bad.py:2" in str(error)


def test_an_exception_while_importing_names_its_line(folder: Path) -> None:
    """Whatever a file raises when it is loaded is shown with the line that raised it."""
    write(folder / "_deep.py", "def go():\n    return {}['missing']\n")
    write(folder / "bad.py", "from ._deep import go\ngo()\n")

    error = refused(folder / "bad.py")

    assert (error.file, error.line) == (str(folder / "_deep.py"), 2)
    assert error.cause == "KeyError: 'missing'"
    assert isinstance(error.__cause__, KeyError)


def test_a_file_that_exits_does_not_end_the_worker(folder: Path) -> None:
    """A script without a main guard calls sys.exit when it is imported."""
    write(folder / "script.py", "import sys\nsys.exit(3)\n")

    assert "SystemExit: 3" in str(refused(folder))


def test_an_import_of_a_neighbour_says_how_to_write_it(folder: Path) -> None:
    """`import shared` cannot work without sys.path; the message shows what does."""
    write(folder / "shared.py", "")
    write(folder / "a.py", "import shared\n")

    assert "write: from . import shared" in str(refused(folder / "a.py"))


def test_an_agent_that_is_defined_wrongly_names_its_line(folder: Path) -> None:
    """What `Agent` refuses is refused with the place in the user's file."""
    write(folder / "a.py", "from coordq import Agent\nagent = Agent('no spaces please')\n")

    error = refused(folder)

    assert (error.file, error.line) == (str(folder / "a.py"), 2)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("missing.py", "no such file"),
        ("./missing", "no such file"),
        ("missing_module", "no file, folder or module"),
        ("missing_module.inner:agent", "no file, folder or module"),
        ("json.missing", "ModuleNotFoundError"),
        ("json", "defines no agent"),
        ("", "no such file"),
        ("a b", "no such file"),
        ("json:not an object", "cannot be the name of an object"),
        ("json:missing", "does not exist"),
        ("json:dumps", "is function, not an Agent"),
    ],
)
def test_a_target_that_is_nothing_is_refused(folder: Path, target: str, said: str) -> None:
    """A slip in a target is told apart from a fault in the code it names."""
    assert folder.exists()
    assert said in str(refused(target))


def test_a_hint_that_cannot_be_used_is_found_when_loading(folder: Path) -> None:
    """Not when the first task arrives, and with the line of the handler."""
    text = "from coordq import Agent\nagent = Agent('a')\n\n@agent.task()\n"
    write(folder / "a.py", text + "async def go(x: 'NoSuchType') -> None: ...\n")

    error = refused(folder)

    assert error.file == str(folder / "a.py")
    assert error.line in {4, 5}
    assert "NoSuchType" in str(error)


def test_an_agent_without_tasks_is_refused(folder: Path) -> None:
    """It imports and is found, and still a worker could do nothing."""
    write(folder / "a.py", "from coordq import Agent\nagent = Agent('idle')\n")

    assert "have no tasks" in str(refused(folder))


def test_each_handler_knows_where_a_fresh_process_finds_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Isolation in a process of its own loads one file there, not the whole fleet's folder."""
    file = agent_file(folder / "a.py")
    write(folder / "__init__.py", ECHO.format(agent="init", task="init"))
    agent_file(folder / "inner" / "loadable_two.py", agent="two", task="two")
    monkeypatch.chdir(folder / "inner")

    agents = load(["..", "loadable_two"]).agents
    sources = {one.name: h.source for one in agents[:2] for h in one.handlers.values()}

    assert sources == {"init": str(folder / "__init__.py"), "echo": str(file)}
    assert agents[-1].handlers["two"].source == "loadable_two"
    assert load([sources["init"]]).agents == agents[:1]


def test_a_folder_without_agents_is_refused(folder: Path) -> None:
    """A worker that can do nothing would look alive and help nobody."""
    write(folder / "a.py", "x = 1\n")

    assert "defines no agent" in str(refused(folder))


def test_a_file_that_is_not_python_is_refused(folder: Path) -> None:
    """`coordq worker notes.txt` is a slip, not a program."""
    assert "not a Python file" in str(refused(write(folder / "notes.txt", "hello")))


def test_a_file_with_a_dot_in_its_name_is_refused(folder: Path) -> None:
    """Python would read `a.b.py` as a module b inside a package a."""
    assert "has a dot in it" in str(refused(agent_file(folder / "a.b.py")))


def test_two_agents_with_one_task_name_are_refused(folder: Path) -> None:
    """Which of the two would run is chance, so neither does; both places are named."""
    agent_file(folder / "a.py", agent="a", task="same")
    agent_file(folder / "b.py", agent="b", task="same")

    error = refused(folder)

    assert error.file == str(folder / "b.py")
    assert "a.py" in str(error)
    assert "'same'" in str(error)


def test_what_failed_may_be_tried_again(folder: Path) -> None:
    """After the mistake is corrected the same process loads the same folder."""
    agent_file(folder / "a.py", agent="a", task="same")
    agent_file(folder / "b.py", agent="b", task="same")
    refused(folder)
    agent_file(folder / "b.py", agent="b", task="a_longer_name")

    assert names(load([str(folder)])) == ["a", "b"]


def test_no_target_is_refused() -> None:
    """An empty list is a slip of a caller in Python; the command line has a default."""
    with pytest.raises(InvalidAgent):
        load([])


# What is watched, and what comes with coordq


def test_watched_files_are_found_without_running_anything(folder: Path) -> None:
    """A reload has to see the correction of a file that does not load."""
    bad = write(folder / "bad.py", "syntax error here")
    deep = write(folder / "inner" / "deep.py", "raise SystemExit")
    write(folder / ".hidden" / "no.py", "")
    write(folder / "venv" / "pyvenv.cfg", "")
    write(folder / "venv" / "no.py", "")

    assert watched([str(folder), "missing.py"]) == [bad, deep]


def test_a_modules_whole_package_is_watched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent imports from all over its package, and a change anywhere may matter."""
    init = write(folder / "watched_pkg" / "__init__.py", "raise SystemExit")
    file = write(folder / "watched_pkg" / "a.py", "")
    monkeypatch.chdir(folder)

    assert watched(["watched_pkg.a:agent"]) == [init, file]


def test_the_built_in_workers_are_found_and_load() -> None:
    """`coordq worker` without a target runs these."""
    loaded = load([str(builtin_workers())])

    assert {"echo", "shell", "http", "audit"} <= set(names(loaded))
