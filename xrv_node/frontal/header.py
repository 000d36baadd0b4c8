"""Reading a header that may hold anything: each reader returns what it understood and never raises."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from pydicom import Dataset
from pydicom.datadict import dictionary_VR

LONGEST = 256
"""Characters that are read of a value: four times the longest text VR in use here (LO, PS3.5 Table 6.2-1),
and a bound on what a hostile header can make the patterns do."""

MANY = 16
"""Values that are read of an attribute; Image Type, the longest here, has nine with some vendors."""

SHOWN = 64
"""Characters of a value that go into evidence: the length of a Long String (LO)."""

_NOT_A_WORD = re.compile(r"[\W_]+")

_TYPED = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})

_LEGACY_SCHEMES = {"SNM3": "SRT", "99SDM": "SRT"}
"""Older designators of the same codes (PS3.16 section 8)."""


@dataclass(frozen=True, slots=True)
class Code:
    """One coded concept: ``name`` is ``SCHEME:VALUE`` in upper case, ``meaning`` as it was sent."""

    name: str
    meaning: str


def values(header: Dataset, keyword: str) -> tuple[str, ...]:
    """Return an attribute's values as stripped strings.

    Parameters
    ----------
    header : pydicom.Dataset
        Any dataset, however malformed.
    keyword : str
        DICOM keyword of an attribute of any VR.

    Returns
    -------
    tuple of str
        One per value, empty strings kept in their places; ``()`` where the attribute is absent, empty, a
        sequence or unreadable.
    """
    try:
        value = header.get(keyword)
        if value is None:
            return ()
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        many = value if isinstance(value, Iterable) and not isinstance(value, str) else [value]
        found = tuple("" if one is None else str(one)[:LONGEST].strip(" \0") for one in islice(many, MANY))
    except Exception:  # a value of the wrong VR fails anywhere inside pydicom, with any type of error
        return ()
    return found if any(found) else ()


def personal_name(header: Dataset) -> tuple[str, ...]:
    """Return the patient's name as one string (a name iterates over its letters, so ``values`` is no use)."""
    try:
        name = str(header.get("PatientName") or "")[:LONGEST]
    except Exception:  # as in `values`
        return ()
    return (name,) if name.strip() else ()


def text(header: Dataset, keyword: str) -> str:
    """Return an attribute as one string: its values, or the meanings of its codes; '' where it is absent."""
    if keyword.endswith("Sequence"):
        return " ".join(code.meaning for code in codes(header, keyword))[:LONGEST]
    if keyword == "PatientName":
        return " ".join(personal_name(header))
    return "\\".join(values(header, keyword))[:LONGEST]


def typed(keyword: str) -> bool:
    """Return whether an attribute holds a text that a person types (PS3.5 table 6.2-1)."""
    try:
        return dictionary_VR(keyword) in _TYPED
    except KeyError:
        return True


def number(header: Dataset, keyword: str) -> int | None:
    """Return an attribute's first value as an integer, None where it is absent or no number."""
    for value in values(header, keyword)[:1]:
        try:
            return int(float(value))
        except (ValueError, OverflowError):
            return None
    return None


def codes(header: Dataset, keyword: str) -> tuple[Code, ...]:
    """Return the codes of a code sequence, those of View Modifier Code Sequence (0054,0222) inside it too."""
    found: list[Code] = []
    try:
        items = [item for item in header.get(keyword) or () if isinstance(item, Dataset)]
    except Exception:  # as in `values`
        return ()
    for item in items:
        value = "".join(values(item, "CodeValue") or values(item, "LongCodeValue")).upper()
        scheme = "".join(values(item, "CodingSchemeDesignator")).upper()
        meaning = " ".join(values(item, "CodeMeaning"))
        if value or meaning:
            found.append(Code(f"{_LEGACY_SCHEMES.get(scheme, scheme)}:{value}", meaning))
        if keyword != "ViewModifierCodeSequence":
            found.extend(codes(item, "ViewModifierCodeSequence"))
    return tuple(found)


@lru_cache(maxsize=4096)
def fold(value: str) -> str:
    """Return a text as the tables spell it: upper case, no accents, words separated by one space."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", value) if not unicodedata.combining(c))
    return _NOT_A_WORD.sub(" ", unicodedata.normalize("NFC", plain).upper()).strip()


def shown(value: str) -> str:
    """Return a value fit for an audit trail: printable, at most ``SHOWN`` characters."""
    return "".join(c if c.isprintable() else "?" for c in value[:SHOWN])


def spaced(keyword: str) -> str:
    """Return a DICOM keyword as words: ``ViewPosition`` becomes ``View Position``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", keyword)
