"""Text from outside as it may be shown: to a terminal, to a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterable

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With these a spreadsheet takes a cell for a formula (OWASP, CSV Injection)."""


def visible(words: str) -> str:
    """Return text without anything that a terminal would do something by: a file's name may hold escape
    sequences, ends of lines, or bytes that are no text."""
    if words.isprintable():
        return words
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words)


def cells(row: Iterable[object]) -> list[object]:
    """Return a row of a table for people: text as :func:`visible` has it, and what would be a formula begins
    with an apostrophe. Numbers stay, as numbers and as text."""
    return [visible(_quoted(cell)) if isinstance(cell, str) else cell for cell in row]


def _quoted(cell: str) -> str:
    if not cell.startswith(_FORMULA):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
