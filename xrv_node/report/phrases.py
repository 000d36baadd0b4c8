"""What a report says, in the reader's language: rows of `xrv_node.languages`, and Code Meanings of them."""

from __future__ import annotations

from functools import cache

from pydicom import Dataset
from pydicom.sr.coding import Code

from xrv_node import languages
from xrv_node.reasons import Reason
from xrv_node.report import codes


def say(phrase: str | Reason, language: str, **values: object) -> str:
    """Return a phrase in a language, filled in.

    Parameters
    ----------
    phrase : str or Reason
        A key of the tables' section ``[text]``, e.g. ``"not_for_diagnosis"``; or a reason, with its values.
    language : str
        Of the reader (RFC 5646).
    **values : object
        What stands in the phrase's braces.

    Raises
    ------
    KeyError
        If the tables have no such row, or a value is missing.
    """
    if isinstance(phrase, Reason):
        return phrase.words(language)
    return languages.fill("text", phrase, language, values)


def named(what: str, name: str, language: str) -> str:
    """Return how a finding, structure, measurement or series is called.

    Parameters
    ----------
    what : str
        The tables' section: ``"finding"``, ``"structure"``, ``"measurement"`` or ``"series"``.
    name : str
        torchxrayvision's, the measurement's key, or the English first words of the series. One that the
        tables lack (a site's own network) is returned as it is.
    language : str
        Of the reader.
    """
    return languages.table(language)[what].get(name, name)


def meaning(code: Code, language: str) -> str:
    """Return a code's meaning; that which it has where the tables have none.

    Code Meaning may be a translation, because programs go by value and scheme (PS3.3 section 8.3).
    """
    return _meanings(language).get((code.scheme_designator, code.value), code.meaning)


def translate_codes(item: Dataset, language: str) -> None:
    """Write the meanings of all codes in an SR tree in a language; in place.

    Parameters
    ----------
    item : Dataset
        A content item or document.
    language : str
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
def _meanings(language: str) -> dict[tuple[str, str], str]:
    """The meanings by scheme and value; those of findings are made of their names."""
    made = {}
    words = languages.table(language)
    for key, name in words["code"].items():
        scheme, _, value = key.partition(":")
        made[scheme, value] = name
    for label, finding in codes.findings().items():
        name = named("finding", label, language)
        for code, said in (
            (finding.code, name),
            (finding.own, name),
            (finding.score, say("score_of", language, finding=name)),
            (finding.score_phantom, say("phantom_of", language, finding=name)),
        ):
            made[code.scheme_designator, code.value] = said
    for key in words["measurement"] if language != languages.ENGLISH else ():
        row, name = codes.measurement(key), named("measurement", key, language)
        made[row.code.scheme_designator, row.code.value] = name
        made[row.phantom.scheme_designator, row.phantom.value] = say("phantom_of", language, finding=name)
    return made
