"""Dates and numbers as the reader of a language writes them."""

from __future__ import annotations

from xrv_node.report.phrases import say


def decimal(number: str, language: str) -> str:
    """Return a number with the language's decimal mark."""
    return number.replace(".", say("decimal", language))


def date(value: str, language: str) -> str:
    """Return a DICOM date (DA, ``YYYYMMDD``) as the language writes it; anything else as it is."""
    whole = len(value) == len("YYYYMMDD") and value.isdecimal()
    if not whole:
        return value
    return say("date", language, year=value[:4], month=value[4:6], day=value[6:])


def plain(words: str) -> str:
    """Return the words in ASCII: every Specific Character Set holds it, whichever one the source declares."""
    return words.encode("ascii", "replace").decode("ascii")
