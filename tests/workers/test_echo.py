"""The smallest agent."""

import asyncio

from tests.workers.conftest import worker_module


def test_echo_says_back_what_it_is_told() -> None:
    """A task is also a plain function, so its logic is tested without any server."""
    echo = worker_module("echo").echo

    assert asyncio.run(echo("hi")) == "hi"
