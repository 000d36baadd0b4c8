"""Objects that are read and not looked at: structured reports as a page, encapsulated PDF as PDF."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pydicom import Dataset

from xrv_node import templates
from xrv_node.attributes import integer, text, values
from xrv_node.errors import ImageError
from xrv_node.radiograph.header import read_header
from xrv_node.reasons import Reason
from xrv_node.web.dicomweb import recode

_DEEPEST = 16
"""Levels of content; templates of PS3.16 have six."""
_MOST = 5000
"""Items that are shown."""
_LONGEST = 1 << 16
"""Characters of a text that are shown."""
_TEXTS = {
    "TEXT": "TextValue", "DATE": "Date", "TIME": "Time", "DATETIME": "DateTime", "PNAME": "PersonName",
    "UIDREF": "UID",
}  # fmt: skip
"""By value type (PS3.3 table C.17.3-7), what holds the value."""


@dataclass(frozen=True, slots=True)
class Item:
    """A content item, and what belongs to it."""

    name: str
    value: str
    items: tuple[Item, ...]


def page(path: Path, syntax: str) -> bytes:
    """Return a structured report as HTML.

    Parameters
    ----------
    path
        A stored file.
    syntax
        Its transfer syntax.

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    read_header(path)  # within the limits of that, so that the rest may be read
    try:
        header = recode.whole_header(path, syntax)
        left = iter(range(_MOST))
        items = tuple(_items(header, left, 1))
    except Exception as error:  # bytes from outside
        raise ImageError(Reason("not-parsable")) from error
    shown = {
        "title": _concept(header, "ConceptNameCodeSequence") or "Structured report",
        "completion": text(header, "CompletionFlag"),
        "verification": text(header, "VerificationFlag"),
        "items": items,
        "cut": next(left, None) is None,
    }
    return templates.render("structured_report.html", **shown).encode()


def pdf(path: Path, syntax: str) -> bytes:
    """Return the document in an Encapsulated PDF.

    Raises
    ------
    ImageError
        If it cannot be read, or is no PDF.
    """
    read_header(path)
    try:
        header = recode.whole_header(path, syntax)
        found = bytes(header.EncapsulatedDocument[: document_length(header)])
    except Exception as error:  # bytes from outside
        raise ImageError(Reason("not-parsable")) from error
    if not found.startswith(b"%PDF-"):
        raise ImageError(Reason("not-parsable"))
    return found


def document_length(header: Dataset) -> int | None:
    """Return how much of an encapsulated document counts; None: all, where the header does not say so."""
    return max(integer(header, "EncapsulatedDocumentLength"), 0) or None


def _items(item: Dataset, left: Iterable[int], level: int) -> Iterable[Item]:
    for child in item.get("ContentSequence") or ():
        if level > _DEEPEST or next(iter(left), None) is None:
            return
        name = _concept(child, "ConceptNameCodeSequence")
        yield Item(name, _value(child), tuple(_items(child, left, level + 1)))


def _value(item: Dataset) -> str:
    kind = text(item, "ValueType").upper()
    if kind == "CODE":
        return _concept(item, "ConceptCodeSequence")
    if kind == "NUM":
        return _measured(item)
    if kind in _TEXTS:
        return str(item.get(_TEXTS[kind]) or "")[:_LONGEST]
    if kind in ("IMAGE", "COMPOSITE", "WAVEFORM"):
        found = item.get("ReferencedSOPSequence")
        return text(found[0], "ReferencedSOPInstanceUID") if found else ""
    return ""


def _measured(item: Dataset) -> str:
    found = item.get("MeasuredValueSequence")
    if not found:
        return _concept(item, "NumericValueQualifierCodeSequence")
    unit = _concept(found[0], "MeasurementUnitsCodeSequence")
    number = " ".join(islice(values(found[0], "NumericValue"), 1))
    return f"{number} {unit}".strip()


def _concept(item: Dataset, keyword: str) -> str:
    found = item.get(keyword)
    return text(found[0], "CodeMeaning") if found else ""
