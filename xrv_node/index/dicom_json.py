"""A header as DICOM JSON (PS3.18 annex F), whatever its values are: one that cannot be read is left empty,
and the others stay."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.valuerep import PersonName

from xrv_node.index.entries import BULK

Element = dict[str, Any]

INLINE = 1024
"""Bytes of a binary value that stands in the header itself; longer ones are fetched by their URI."""

CHARACTER_SET = "00080005"
UTF_8: Element = {"vr": "CS", "Value": ["ISO_IR 192"]}
"""Annex F.2: the text is UTF-8, and the header says so."""

_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_REAL, _WHOLE = frozenset({"DS", "FL", "FD"}), frozenset({"IS", "SL", "SS", "SV", "UL", "US", "UV"})
_EXACT = 1 << 53
"""Whole numbers beyond are text (table F.2.3-1): readers of JSON have 53 bits."""
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_TRAILING = 0xFFFCFFFC
"""Data Set Trailing Padding."""
_META = 0x0002


def of(header: Dataset, passed_over: Iterable[int] = ()) -> dict[str, Element]:
    """Return a header as DICOM JSON has it, by tag.

    Parameters
    ----------
    header
        Of any content, without pixel data. File meta information, group lengths and padding are left out.
    passed_over
        Tags of what it had and was too large to be read: binary values are there by their URI, others are
        empty.

    Returns
    -------
    dict
        For ``json.dumps`` without NaN.
    """
    found = _dataset(header, BULK)
    for tag in passed_over:
        found[f"{tag:08X}"] = _unread(tag)
    found[CHARACTER_SET] = UTF_8
    return dict(sorted(found.items()))


def bulk(tag: int, vr: str) -> Element:
    """Return an element whose value is fetched apart."""
    return {"vr": vr, "BulkDataURI": f"{BULK}{tag:08X}"}


def _unread(tag: int) -> Element:
    vr = _known_vr(tag)
    return bulk(tag, vr) if vr in _BINARY else {"vr": vr}


def _known_vr(tag: int) -> str:
    """The VR of the dictionary, of several the one that holds the others' values."""
    try:
        return dictionary_VR(tag).partition(" or ")[0]
    except KeyError:
        return "UN"


def _dataset(dataset: Dataset, place: str) -> dict[str, Element]:
    found = {}
    for tag in list(dataset.keys()):
        if tag.element == 0 or tag.group <= _META or tag == _TRAILING or f"{tag:08X}" == CHARACTER_SET:
            continue
        found[f"{tag:08X}"] = _element(dataset, tag, f"{place}{tag:08X}")
    return found


def _element(dataset: Dataset, tag: BaseTag, place: str) -> Element:
    try:
        element = dataset[tag]
        vr = str(element.VR).partition(" or ")[0]
        return _with_value(element, vr, place)
    except Exception:  # values are parsed here, and the parser has no error class of its own
        return _damaged(dataset, tag)


def _damaged(dataset: Dataset, tag: BaseTag) -> Element:
    """An element that the parser refuses as a whole: of numbers in text, those that are some stay."""
    raw = dataset.get_item(tag)
    vr = (getattr(raw, "VR", None) or _known_vr(tag)).partition(" or ")[0]
    value = getattr(raw, "value", None)
    if vr not in ("DS", "IS") or not isinstance(value, bytes):
        return {"vr": vr}
    shown = [_quietly(_WAYS[vr], one.strip(" \0")) for one in value.decode("latin-1").split("\\")]
    return {"vr": vr, "Value": shown} if any(one is not None for one in shown) else {"vr": vr}


def _with_value(element: DataElement, vr: str, place: str) -> Element:
    value = element.value
    if vr == "SQ":
        items = [_dataset(item, f"{place}/{n}/") for n, item in enumerate(value or (), 1)]
        return {"vr": vr, "Value": items} if items else {"vr": vr}
    if vr in _BINARY:
        return _binary(value, vr, place)
    many = list(value) if isinstance(value, MultiValue | list) else [value]
    shown = [_quietly(_WAYS.get(vr, _text), one) for one in many]
    while shown and shown[-1] is None:  # empty values at the end say nothing
        shown.pop()
    return {"vr": vr, "Value": shown} if shown else {"vr": vr}


def _binary(value: Any, vr: str, place: str) -> Element:
    if not value:
        return {"vr": vr}
    data = bytes(value) if isinstance(value, bytes | bytearray) else b"".join(value)
    if len(data) > INLINE:
        return {"vr": vr, "BulkDataURI": place}
    return {"vr": vr, "InlineBinary": base64.b64encode(data).decode()}


def _quietly(way: Callable[[Any], Any], value: Any) -> Any:
    try:
        return None if value is None or value == "" else way(value)
    except (ValueError, TypeError, OverflowError, ArithmeticError):
        return None


def _text(value: Any) -> str:
    """Halves of surrogate pairs are no text, and cannot be written as UTF-8."""
    return str(value).encode("utf-8", "replace").decode()


def _name(value: Any) -> dict[str, str] | None:
    name = value if isinstance(value, PersonName) else PersonName(str(value))
    parts = _text(name).split("=")[:3]
    found = {group: part for group, part in zip(_GROUPS, parts, strict=False) if part}
    return found or None


def _real(value: Any) -> float | int | None:
    found = float(value)
    if not math.isfinite(found):
        return None
    return int(found) if found.is_integer() and abs(found) < _EXACT else found


def _whole(value: Any) -> int | str:
    found = int(value)
    return found if abs(found) <= _EXACT else str(found)


def _tag(value: Any) -> str:
    return f"{int(value):08X}"


def _ways() -> Iterator[tuple[str, Callable[[Any], Any]]]:
    yield from ((vr, _real) for vr in _REAL)
    yield from ((vr, _whole) for vr in _WHOLE)
    yield from (("PN", _name), ("AT", _tag))


_WAYS = dict(_ways())
