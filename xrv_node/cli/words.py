"""Options that take one word of a few."""

from __future__ import annotations

from collections.abc import Iterable

from xrv_node.errors import ConfigError


def one_of(option: str, given: str | None, words: Iterable[str]) -> None:
    """See that a word is one of those that there are, where one is given.

    Raises
    ------
    ConfigError
        It is none; with those that there are.
    """
    there = sorted(map(str, words))
    if given is not None and given not in there:
        raise ConfigError(f"{option} {given}: there is no such; use one of {', '.join(there)}")
