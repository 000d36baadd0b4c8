"""A header as XML: the Native DICOM Model of PS3.19 A.1, from its DICOM JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from pydicom.datadict import keyword_for_tag

MEDIA_TYPE = "application/dicom+xml"

_NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_NAMES = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
"""Of a person, in the order in which ``^`` parts them (PS3.5 6.2.1)."""
_NEVER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML cannot hold, in any way (XML 1.0 2.2)."""


def document(header: Mapping[str, Mapping[str, Any]]) -> str:
    """Write a header as an XML document.

    Parameters
    ----------
    header
        DICOM JSON, by tag. What XML has no characters for, such as control characters, is U+FFFD.
    """
    inside = "".join(_attributes(header))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<NativeDicomModel xmlns="{_NAMESPACE}" xml:space="preserve">{inside}</NativeDicomModel>\n'
    )


def _attributes(header: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for tag, element in header.items():
        creator = _creator(header, tag)
        # where a creator is named, its block is not: that is another one in every object
        named = f"tag={_quoted(f'{tag[:4]}00{tag[6:]}' if creator else tag)} vr={_quoted(element['vr'])}"
        if keyword := keyword_for_tag(int(tag, 16)):
            named += f" keyword={_quoted(keyword)}"
        if creator:
            named += f" privateCreator={_quoted(creator)}"
        yield f"<DicomAttribute {named}>{''.join(_value(element))}</DicomAttribute>"


def _value(element: Mapping[str, Any]) -> Iterator[str]:
    if "BulkDataURI" in element:
        yield f"<BulkData uri={_quoted(element['BulkDataURI'])}/>"
    if "InlineBinary" in element:
        yield f"<InlineBinary>{_text(element['InlineBinary'])}</InlineBinary>"
    for number, value in enumerate(element.get("Value", ()), 1):
        if value is None:
            continue
        if element["vr"] == "SQ":
            yield f'<Item number="{number}">{"".join(_attributes(value))}</Item>'
        elif element["vr"] == "PN":
            yield f'<PersonName number="{number}">{"".join(_person(value))}</PersonName>'
        else:
            yield f'<Value number="{number}">{_text(value)}</Value>'


def _person(groups: Mapping[str, str]) -> Iterator[str]:
    for group in _GROUPS:
        pieces = str(groups.get(group) or "").split("^")
        names = zip(_NAMES, pieces, strict=False)
        inside = "".join(f"<{name}>{_text(piece)}</{name}>" for name, piece in names if piece)
        if inside:
            yield f"<{group}>{inside}</{group}>"


def _creator(header: Mapping[str, Mapping[str, Any]], tag: str) -> str:
    """Whose a private element is (PS3.5 7.8.1)."""
    if int(tag[3], 16) % 2 == 0 or tag[4:6] == "00":
        return ""
    return str((header.get(f"{tag[:4]}00{tag[4:6]}", {}).get("Value") or [""])[0] or "")


def _text(value: object) -> str:
    return escape(_NEVER.sub("\ufffd", str(value)), {"\r": "&#13;"})  # which readers would drop


def _quoted(value: object) -> str:
    return quoteattr(_NEVER.sub("\ufffd", str(value)))
