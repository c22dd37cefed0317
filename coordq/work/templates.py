"""Templates by name and options, made once each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from coordq.work.options import DEFAULTS, Template, template

_CACHE_MAX: Final = 1024


class Templates:
    """Remembers the templates of one place that makes tasks. Thread-safe."""

    def __init__(self) -> None:
        self._plain: dict[str, Template] = {}
        self._known: dict[Any, Template] = {}

    def plain(self, name: str) -> Template:
        """The template for tasks called `name` without any option. Raises InvalidName."""
        found = self._plain.get(name) if type(name) is str else None
        return found or self._remember(self._plain, name, template(name, DEFAULTS))

    def of(self, name: str, options: Mapping[str, Any]) -> Template:
        """The template for a name and options, as in coordq.Options.

        Raises InvalidOption, InvalidTime, InvalidName.
        """
        try:
            # with the types, since 1 == True: a refused value must not find an allowed one
            key = (name, *options.items(), *map(type, options.values()))
            found = self._known.get(key)
        except TypeError:  # an option that is no key, such as a mapping
            return template(name, DEFAULTS.merge(**options))
        return found or self._remember(self._known, key, template(name, DEFAULTS.merge(**options)))

    @staticmethod
    def _remember(known: dict[Any, Template], key: Any, found: Template) -> Template:
        if len(known) >= _CACHE_MAX:
            known.clear()
        known[key] = found
        return found
