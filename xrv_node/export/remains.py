"""A second look at an object that was de-identified: a name that was in it under its own attribute may stand
in others, which the profile keeps."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from pydicom import DataElement, Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag

_IDENTIFIERS = {
    Tag(keyword)
    for keyword in (
        "PatientID", "OtherPatientIDs", "AccessionNumber", "PatientAddress", "PatientTelephoneNumbers",
        "PatientBirthDate", "PatientMotherBirthName", "MedicalRecordLocator", "AdmissionID",
    )
}  # fmt: skip
"""Beside everybody's names (VR PN)."""
_TEXTS = {"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"}
_LEAST, _WITHIN = 3, 5
"""Characters of a word that is looked for, and of one that is also looked for within others."""
_DENSE, _LEAST_DENSE = "\u2e80", 2
"""From here on are scripts that are written without spaces, where two characters are a name (CJK)."""
_WORD = re.compile(r"[^\W_]+")


def identifying(dataset: Dataset) -> frozenset[str]:
    """Return the words of all names and identifiers of an object, at every depth."""
    found: set[str] = set()
    for element in _elements(dataset):
        if element.VR == "PN" or element.tag in _IDENTIFIERS:
            found |= _words(str(element.value))
    return frozenset(w for w in found if len(w) >= (_LEAST_DENSE if _is_dense(w) else _LEAST))


def holds(value: str, said: frozenset[str]) -> bool:
    """Whether a text has any of the words, long ones also within others."""
    there = _folded(value)
    return bool(said & _words(value)) or any(
        (len(word) >= _WITHIN or _is_dense(word)) and word in there for word in said
    )


def take_out(dataset: Dataset, said: frozenset[str], instead: str, *, structure: bool) -> None:
    """Replace text that has any of the words; in place.

    Parameters
    ----------
    structure
        Whether code strings are the program's own words, and stay.
    """
    for element in _elements(dataset):
        if element.VR in _TEXTS - ({"CS"} if structure else set()) and element.tag not in _IDENTIFIERS:
            values = element.value if isinstance(element.value, MultiValue) else [element.value]
            if any(holds(str(value), said) for value in values):
                element.value = instead


def _elements(dataset: Dataset) -> Iterator[DataElement]:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _elements(item)
        else:
            yield element


def _words(value: str) -> set[str]:
    return set(_WORD.findall(_folded(value)))


def _is_dense(word: str) -> bool:
    return max(word) >= _DENSE


def _folded(value: str) -> str:
    """Accents and capitals are no difference."""
    return "".join(c for c in unicodedata.normalize("NFKD", value.casefold()) if not unicodedata.combining(c))
