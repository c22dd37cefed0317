"""What commands and groups have in common: -h, options, suggestions, variables, lazy loading."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click

from coordq.interfaces.cli.session import Function

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def options(*several: Callable[[Any], Any]) -> Callable[[Function], Function]:
    """Options and arguments as one decorator, for several commands; help keeps their order."""

    def decorate(function: Function) -> Function:
        for one in reversed(several):
            function = one(function)
        return function

    return decorate


class Command(click.Command):
    """A command whose help ends with how its options are called in the environment."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        attributes["context_settings"] = {**SETTINGS, **attributes.get("context_settings", {})}
        super().__init__(*args, **attributes)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, if there are any, and one sentence about variables."""
        super().format_epilog(ctx, formatter)
        example = next(
            (one for one in self.params if isinstance(one, click.Option) and _has_variable(one)),
            None,
        )
        if example is not None and ctx.auto_envvar_prefix:
            variable = f"{ctx.auto_envvar_prefix}_{(example.name or '').upper()}"
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(
                    f"Options can be set by variables: {example.opts[0]} by {variable}, and so on."
                )


def _has_variable(option: click.Option) -> bool:
    return option.allow_from_autoenv and option.envvar is None and option.name != "help"


class Group(click.Group):
    """A group that suggests what an unknown command may have meant."""

    command_class = Command

    def __init__(self, *args: Any, **attributes: Any) -> None:
        attributes["context_settings"] = {**SETTINGS, **attributes.get("context_settings", {})}
        super().__init__(*args, **attributes)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. Raises UsageError that names the nearest one."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            close = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"There is no command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


class Home(NamedTuple):
    """Where a command is defined, and what the list of commands says about it."""

    module: str
    section: str
    help: str


class LazyGroup(Group):
    """A group that imports a command's module when the command is used."""

    def __init__(self, *args: Any, homes: Mapping[str, Home], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.homes = homes

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(self.homes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now; None when there is none."""
        if cmd_name not in self.homes:
            return None
        module = import_module(f"coordq.interfaces.cli.{self.homes[cmd_name].module}")
        command: click.Command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section, out of the table."""
        for section in dict.fromkeys(home.section for home in self.homes.values()):
            with formatter.section(section):
                formatter.write_dl(
                    [
                        (name, home.help)
                        for name, home in self.homes.items()
                        if home.section == section
                    ]
                )
