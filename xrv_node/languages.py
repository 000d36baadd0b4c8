"""The words of every language: one table a language, ``dicom_config/languages/<name>.toml``.

A site adds a language by adding a file, to a folder of its own (``node.languages_dir``). English is a table
like the others; it is the one that the keys and placeholders of the others are compared with.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Formatter

from xrv_node.errors import ConfigError

ENGLISH = "en"

Table = Mapping[str, Mapping[str, str]]
"""Rows by section and key."""

_NAME = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
"""Of a language (RFC 5646), and of its file."""

_own: Path | None = None


def use(folder: Path | None) -> None:
    """Look for the site's own languages in this folder from now on; None: there are none."""
    global _own  # noqa: PLW0603  # what a process speaks is settled once, by its configuration
    _own = folder
    table.cache_clear()


def names() -> tuple[str, ...]:
    """The languages that there are tables of, in the order of their names."""
    return tuple(sorted({*_files(files("dicom_config") / "languages"), *_files(_own)}))


@cache
def table(language: str) -> Table:
    """Return a language's rows.

    English stands where one is missing or cannot be filled in: after an upgrade a site's own file lacks the
    newest ones, and no report fails for that.

    Raises
    ------
    ConfigError
        If there is no such language, or its file is not a table.
    """
    own = _read(language)
    if language == ENGLISH:
        return own
    return {
        section: {
            key: own.get(section, {}).get(key, words) if not _wrong(section, key, own) else words
            for key, words in rows.items()
        }
        for section, rows in table(ENGLISH).items()
    }


def complaints(language: str) -> list[str]:
    """Say what is wrong with a language's file, a line each, beginning with its section and key.

    Raises
    ------
    ConfigError
        As `table` does.
    """
    own, english = _read(language), table(ENGLISH)
    found = [why for section, rows in english.items() for key in rows if (why := _wrong(section, key, own))]
    strange = [
        (section, key) for section, rows in own.items() for key in rows if key not in english.get(section, {})
    ]
    return found + [f"[{section}] {key}: English has no such key; take it out" for section, key in strange]


@cache
def placeholders(words: str) -> frozenset[str]:
    """Return the names in braces.

    Raises
    ------
    ValueError
        If a brace is not closed, or a placeholder has no plain name.
    """
    found = frozenset(name for _, name, _, _ in Formatter().parse(words) if name is not None)
    if not all(name.isidentifier() for name in found):
        raise ValueError("a placeholder is a name in braces")
    return found


def fill(section: str, key: str, language: str, values: Mapping[str, object]) -> str:
    """Return a row with its placeholders filled in.

    Raises
    ------
    KeyError
        If the tables have no such row, or a value is missing.
    """
    return table(language)[section][key].format_map(values)


def _wrong(section: str, key: str, own: Table) -> str | None:
    """What is wrong with a row of a language, that English has."""
    name = f"[{section}] {key}"
    words = own.get(section, {}).get(key)
    if not isinstance(words, str) or not words.strip():
        return f"{name}: missing"
    wanted = placeholders(table(ENGLISH)[section][key]) if section in _FILLED else frozenset()
    try:
        found = placeholders(words) if section in _FILLED else wanted
    except ValueError as error:
        return f"{name}: {error}"
    if strange := sorted(found - wanted):
        known = ", ".join(f"{{{one}}}" for one in sorted(wanted)) or "none"
        return f"{name}: unknown placeholder {{{strange[0]}}}; known here: {known}"
    if left_out := sorted(wanted - found):
        return f"{name}: placeholder {{{left_out[0]}}} is missing"
    return None


_FILLED = ("text", "reason")
"""The sections whose rows are templates; the others are names, which may have braces of their own."""


def _files(folder: Traversable | None) -> dict[str, Traversable]:
    if folder is None or not folder.is_dir():
        return {}
    found = {one.name.removesuffix(".toml"): one for one in folder.iterdir() if one.name.endswith(".toml")}
    return {name: one for name, one in found.items() if _NAME.fullmatch(name)}


def _read(language: str) -> Table:
    ours = _files(files("dicom_config") / "languages")
    # English is what records and UIDs were made with: it stays the node's own.
    file = (ours if language == ENGLISH else ours | _files(_own)).get(language)
    if file is None:
        raise ConfigError(f"there is no language {language!r}; there are {', '.join(names())}")
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: not a table of words: {error}") from error
    return {section: rows if isinstance(rows, dict) else {} for section, rows in found.items()}
