"""What the command line says about itself, and how fast it may say it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

import coordq
from coordq.interfaces.cli.root import HOMES, cli
from tests.interfaces.conftest import Shell

VERBS = {
    "enqueue": "--queue --priority --delay --at --unique --unique-for --on-duplicate "
    "--max-attempts --backoff --timeout --expires --total-timeout --result-ttl --role --capability "
    "--on-full --wait-for-room --id --header --args --wait --wait-timeout --file --skip-bad",
    "worker": "--processes --concurrency --threads --queues --name --zone --label --beat --lease "
    "--burst --reload --max-tasks --max-rss --drain-timeout --health-port --health-host "
    "--stall-after --stall-policy --log-format --log-level",
    "ls": "--state --queue --name --older-than --limit --watch",
    "show": "",
    "result": "--timeout",
    "why": "",
    "logs": "--follow",
    "cancel": "--reason --yes",
    "retry": "",
    "dead ls": "--queue --name --older-than --limit",
    "dead revive": "--queue --name --all",
    "dead purge": "--queue --name --older-than --all --yes",
    "schedule add": "--every --cron --tz --overlap --missed --start --end --jitter --paused "
    "--replace --args --queue --priority --max-attempts --backoff --timeout --expires "
    "--total-timeout --result-ttl --role --capability --on-full --header",
    "schedule ls": "",
    "schedule show": "",
    "schedule pause": "",
    "schedule resume": "",
    "schedule trigger": "",
    "schedule rm": "",
    "queue ls": "",
    "queue show": "",
    "queue pause": "",
    "queue resume": "",
    "queue limit": "--high --low --max-bytes --strict --aged",
    "queue purge": "--yes",
    "tenant ls": "",
    "tenant weight": "",
    "tenant rm": "",
    "stats": "",
    "top": "--interval --once",
    "events": "--follow --lines --since --kind --queue --name --id",
    "workers": "",
    "workers ls": "",
    "workers drain": "",
    "workers stop": "--yes",
    "workers dump": "",
    "supervisor": "--name --zone --leader-lease --on-minority --audit-every --dead-retention "
    "--event-retention --health-port --health-host --log-format --log-level",
    "fleet up": "--name --check --log-format --log-level",
    "fleet scale": "--name --timeout",
    "fleet restart": "--rolling --name --timeout",
    "fleet drain": "--name --timeout",
    "fleet down": "--name --timeout",
    "doctor": "--strict",
    "init": "",
    "dev": "--processes --queues",
    "demo": "--path --processes --kill --no-kill --limit",
    "chaos": "--tasks --faults --seed --engine --durability --workers --supervisors --duration "
    "--lease --only --plant --folder --keep",
    "version": "",
}
COMMON = {"--url", "--namespace", "--json", "--patience"}


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command under a group, with its full name."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        yield f"{path} {name}".strip(), command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}".strip())


def flags(command: click.Command) -> set[str]:
    """The long options of a command."""
    options = [param for param in command.params if isinstance(param, click.Option)]
    return {flag for one in options for flag in one.opts + one.secondary_opts if flag[:2] == "--"}


@pytest.mark.parametrize("verb", VERBS)
def test_every_documented_verb_has_its_flags(shell: Shell, verb: str) -> None:
    """Scripts are written against these names: none may go, and none may be misspelt."""
    command = dict(commands(cli))[verb]

    assert set(VERBS[verb].split()) | COMMON <= flags(command)
    assert shell(*verb.split(), "-h").exit_code == 0


@pytest.mark.parametrize("name", HOMES)
def test_the_list_of_commands_says_what_the_commands_say(name: str) -> None:
    """The list is a table, so that --help need not import the commands; it must not drift away."""
    command = dict(commands(cli))[name]

    assert command.help is not None
    first = HOMES[name].help.rstrip(".").split(",")[0].split()[0]
    assert command.help.split()[0].strip(",") == first


def test_every_flag_is_set_by_a_variable_of_its_name(shell: Shell) -> None:
    """In a container nobody edits the command line."""
    shell("enqueue", "echo", COORDQ_ENQUEUE_QUEUE="mail", COORDQ_ENQUEUE_PRIORITY="high")
    shell("enqueue", "echo", COORDQ_ENQUEUE_ARGS='{"text": "hi"}')
    tasks = json.loads(shell("ls", COORDQ_JSON="1", COORDQ_LS_QUEUE="mail").stdout)

    assert [(task["queue"], task["priority"]) for task in tasks] == [("mail", "high")]


def test_a_variable_is_named_after_its_flag() -> None:
    """COORDQ_WORKER_BEAT, not COORDQ_WORKER_BEAT_S: what --help promises must hold for all."""
    for path, command in commands(cli):
        for option in (param for param in command.params if isinstance(param, click.Option)):
            if option.allow_from_autoenv and option.name != "version":
                longest = max(option.opts, key=len)
                assert option.name == longest[2:].replace("-", "_"), path


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_help_needs_no_redis(words: list[str]) -> None:
    """Who asks for help may have nothing running yet."""
    result = Shell("redis://127.0.0.1:1", "x")(*words)

    assert "enqueue" in result.output
    assert "Exit codes" in result.output


def test_help_loads_nothing_heavy() -> None:
    """300 ms is the budget of --help; rich, pydantic and redis would eat it alone."""
    code = (
        "import sys\nfrom coordq.interfaces.cli.root import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        "heavy = {'rich', 'pydantic', 'redis', 'asyncio', 'coordq.client'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_an_unknown_command_names_the_nearest(shell: Shell) -> None:
    """A typo is answered with the word that was meant."""
    result = shell("enqeue", "echo")

    assert result.exit_code == 2
    assert "Did you mean 'enqueue'?" in result.stderr


def test_an_unknown_verb_of_a_group_names_the_nearest(shell: Shell) -> None:
    """Also one level down."""
    assert "Did you mean 'purge'?" in shell("queue", "prge", "mail").stderr


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: Shell, name: str) -> None:
    """What a shell sources must name the command and call it back."""
    result = shell("completion", name)

    assert result.exit_code == 0
    assert "_COORDQ_COMPLETE" in result.stdout


def test_completion_completes() -> None:
    """The script is of use only if the answers come: they must survive our own main()."""
    environment = {
        "_COORDQ_COMPLETE": "bash_complete",
        "COMP_WORDS": "coordq enq",
        "COMP_CWORD": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "coordq"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "plain,enqueue"


def test_version_is_said_in_both_ways(shell: Shell) -> None:
    """Bug reports start with it."""
    assert coordq.__version__ in shell("--version").stdout
    assert shell.json("version")["coordq"] == coordq.__version__
