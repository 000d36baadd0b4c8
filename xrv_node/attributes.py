"""Reading attributes of a header that may hold anything: never an exception, whatever the bytes are.

Values are parsed when they are asked for, and a damaged one raises anything then: it counts as absent. Bytes
without a text VR are taken as Latin-1, which decodes all of them; padding (space, NUL) is no part of a value.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

UNITS_IN_A_YEAR = {"Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}
"""Of an Age String (PS3.5 6.2, AS)."""

LONGEST = 256
"""Characters that are read of an attribute: four times the longest text VR in use here (LO, PS3.5 Table
6.2-1), and a bound on what a hostile header can make patterns do."""

MANY = 16
"""Values that are read of an attribute, and codes of a sequence; Image Type, the longest here, has nine with
some vendors."""

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
    header
        Any dataset, however malformed.
    keyword
        DICOM keyword of an attribute of any VR.

    Returns
    -------
    tuple of str
        One per value, empty strings kept in their places; ``()`` where the attribute is absent, empty, a
        sequence or unreadable.
    """
    try:
        value = header.get(keyword)
        if value is None or isinstance(value, Sequence):
            return ()
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        many = value if isinstance(value, MultiValue | list) else [value]
        found = tuple("" if v is None else str(v)[:LONGEST].strip(" \0").strip() for v in islice(many, MANY))
    except Exception:  # the parser has no error class of its own
        return ()
    return found if any(found) else ()


def text(header: Dataset, keyword: str) -> str:
    """Return an attribute as text: its values with backslashes between them, as DICOM has it, or the meanings
    of a sequence's codes; empty where it is missing, empty or cannot be read."""
    if keyword.endswith("Sequence"):
        return " ".join(code.meaning for code in codes(header, keyword))[:LONGEST]
    return "\\".join(values(header, keyword))[:LONGEST]


def integer(header: Dataset, keyword: str) -> int:
    """Return an attribute as a whole number, 0 where it is none."""
    try:
        return int(text(header, keyword))
    except ValueError:
        return 0


SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
"""Between rows and between columns (PS3.3 10.7.1.3), the first that an image has counts."""


def number(header: Dataset, keyword: str) -> float | None:
    """Return an attribute's first value as a finite number, None where it has no such value."""
    try:
        found = float(values(header, keyword)[0])
    except (IndexError, ValueError):
        return None
    return found if math.isfinite(found) else None


def numbers(header: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Return an attribute's values if there are ``count`` finite numbers, else None."""
    try:
        found = tuple(float(value) for value in values(header, keyword))
    except ValueError:
        return None
    return found if len(found) == count and all(map(math.isfinite, found)) else None


def spacing(header: Dataset, *keywords: str) -> tuple[float, float] | None:
    """Return the first of these attributes that is two positive numbers, else None."""
    for keyword in keywords:
        found = numbers(header, keyword, 2)
        if found is not None and min(found) > 0:
            return found[0], found[1]
    return None


def items(header: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence."""
    try:
        return [item for item in header.get(keyword) or () if isinstance(item, Dataset)]
    except Exception:  # as in `values`
        return []


def codes(header: Dataset, keyword: str) -> tuple[Code, ...]:
    """Return the codes of a code sequence's first `MANY` items, and those of View Modifier Code Sequence
    (0054,0222) inside them."""
    found: list[Code] = []
    for item in items(header, keyword)[:MANY]:
        value = "".join(values(item, "CodeValue") or values(item, "LongCodeValue")).upper()
        scheme = "".join(values(item, "CodingSchemeDesignator")).upper()
        meaning = " ".join(values(item, "CodeMeaning"))
        if value or meaning:
            found.append(Code(f"{_LEGACY_SCHEMES.get(scheme, scheme)}:{value}", meaning))
        if keyword != "ViewModifierCodeSequence":
            found.extend(codes(item, "ViewModifierCodeSequence"))
    return tuple(found)


def typed(keyword: str) -> bool:
    """Return whether an attribute holds a text that a person types (PS3.5 table 6.2-1)."""
    try:
        return dictionary_VR(keyword) in _TYPED
    except KeyError:
        return True


@lru_cache(maxsize=4096)
def fold(value: str) -> str:
    """Return a text as tables spell it: upper case, no accents, words separated by one space."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", value) if not unicodedata.combining(c))
    return _NOT_A_WORD.sub(" ", unicodedata.normalize("NFC", plain).upper()).strip()


def shown(value: str) -> str:
    """Return a value fit for an audit trail: printable, at most ``SHOWN`` characters."""
    return "".join(c if c.isprintable() else "?" for c in value[:SHOWN])


def spaced(keyword: str) -> str:
    """Return a DICOM keyword as words: ``ViewPosition`` becomes ``View Position``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", keyword)
