"""Everything that the node says to a reader, in five languages: the table ``dicom_config/phrases.toml``."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Any

from pydicom import Dataset
from pydicom.sr.coding import Code

from xrv_node.report import codes
from xrv_node.values import Language


def say(phrase: str, language: Language, **values: object) -> str:
    """Return a phrase of the table ``[text]``, filled in.

    Parameters
    ----------
    phrase : str
        Its key, e.g. ``"not_for_diagnosis"``.
    language : Language
        Of the reader.
    **values : object
        What stands in the phrase's braces.

    Raises
    ------
    KeyError
        If the table has no such row, or a value is missing.
    """
    row: dict[str, str] = table()["text"][phrase]
    return row[language].format(**values)


def named(what: str, name: str, language: Language) -> str:
    """Return how a finding, structure or measurement is called.

    Parameters
    ----------
    what : str
        ``"finding"``, ``"structure"`` or ``"measurement"``.
    name : str
        torchxrayvision's, or the measurement's key. One that the table lacks (a site's own network) is
        returned as it is.
    language : Language
        Of the reader.
    """
    row: dict[str, str] = table()[what].get(name, {})
    return row.get(language, name)


def translated(sentence: str, language: Language) -> str:
    """Translate a sentence that another part of the node wrote in English.

    Parameters
    ----------
    sentence : str
        E.g. a reason of the frontal filter. What it quotes (a header's value, a number) stays as it is.
    language : Language
        Of the reader.

    Returns
    -------
    str
        The sentence itself where the table has no such one: a site's own rule, an operating system's message.
    """
    if language == "en":
        return sentence
    for pattern, row in _sentences():
        if match := pattern.fullmatch(sentence):
            return row[language].format(**match.groupdict())
    return sentence


def meaning(code: Code, language: Language) -> str:
    """Return a code's meaning; that which it has where the table has none.

    Code Meaning may be a translation, because programs go by value and scheme (PS3.3 section 8.3).
    """
    return _meanings(language).get((code.scheme_designator, code.value), code.meaning)


def translate_codes(item: Dataset, language: Language) -> None:
    """Write the meanings of all codes in an SR tree in a language; in place.

    Parameters
    ----------
    item : Dataset
        A content item or document.
    language : Language
        Of the reader. In English too a finding is called by its one name: SNOMED CT's for it may differ.
    """
    if "CodeMeaning" in item:
        code = Code(item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning)
        item.CodeMeaning = meaning(code, language)
    for element in item:
        if element.VR == "SQ":
            for child in element.value:
                translate_codes(child, language)


@cache
def table() -> dict[str, Any]:
    """Return the whole table; a row is a dict by language."""
    return tomllib.loads(files("dicom_config").joinpath("phrases.toml").read_text(encoding="utf-8"))


@cache
def _meanings(language: Language) -> dict[tuple[str, str], str]:
    """The meanings by scheme and value; those of findings are made of their names."""
    made = {}
    for key, row in table()["code"].items():
        scheme, _, value = key.partition(":")
        made[scheme, value] = row[language]
    for label, finding in codes.findings().items():
        name = named("finding", label, language)
        for code, words in (
            (finding.code, name),
            (finding.own, name),
            (finding.score, say("score_of", language, finding=name)),
            (finding.score_commissioning, say("no_result_of", language, finding=name)),
        ):
            made[code.scheme_designator, code.value] = words
    for key in table()["measurement"] if language != "en" else ():
        code = codes.measurement(key).code
        made[code.scheme_designator, code.value] = named("measurement", key, language)
    return made


@cache
def _sentences() -> list[tuple[re.Pattern[str], dict[str, str]]]:
    """The sentences of other parts: a pattern that matches the English, and the row."""
    return [(_pattern(row["en"]), row) for row in table()["sentences"]]


def _pattern(sentence: str) -> re.Pattern[str]:
    parts = (
        re.escape(words) + (f"(?P<{field}>.+?)" if field else "")
        for words, field, _, _ in Formatter().parse(sentence)
    )
    return re.compile("".join(parts), re.DOTALL)
