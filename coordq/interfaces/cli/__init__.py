"""The `coordq` command: each verb a few lines over the client, each loaded when it is first used.

`coordq --help` imports click and the table of commands, nothing else; that is why the table holds
the short help texts (`tests/interfaces` holds them against the commands).
"""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit with its code."""
    from coordq.interfaces.cli.root import cli

    cli(prog_name="coordq")
