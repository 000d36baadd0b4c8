"""A header in Explicit VR Little Endian, whatever it was read from.

The values are not looked at: what is damaged in one comes out as it went in.
"""

from __future__ import annotations

import struct

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.tag import BaseTag

from xrv_node.attributes import number
from xrv_node.radiograph.elements import ITEM
from xrv_node.web.dicomweb.frames import swapped

_WIDTHS = {
    "AT": 2, "OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2, "SL": 4, "SS": 2, "SV": 8, "UL": 4, "US": 2,
    "FD": 8, "FL": 4, "UV": 8,
}  # fmt: skip
"""Bytes that change places with the order of bytes (PS3.5 7.3)."""
_AMBIGUOUS = {"OB or OW": "OW", "US or OW": "OW", "US or SS or OW": "OW"}
"""What may be either in the dictionary, and is no number of the image."""


def encoded(dataset: Dataset, *, signed: bool | None = None) -> bytes:
    """Return the bytes of a data set in Explicit VR Little Endian.

    Parameters
    ----------
    dataset
        As pydicom read it, with or without elements that were set since. Group lengths are left out: they are
        retired, and would be wrong.
    signed
        Whether what is US or SS in the dictionary is SS; None: by the data set's own Pixel Representation.

    Raises
    ------
    Exception
        pydicom's, where a sequence in another encoding is damaged.
    """
    if signed is None:
        signed = number(dataset, "PixelRepresentation") == 1
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    for tag in sorted(dataset.keys()):
        if tag.element == 0:
            continue
        element = dataset.get_item(tag)
        if not isinstance(element, RawDataElement) and element.VR != "SQ":
            write_data_element(buffer, element)
        else:
            write_data_element(buffer, _raw(dataset, tag, element, signed=signed))
    return buffer.getvalue()


def _raw(
    dataset: Dataset, tag: BaseTag, element: RawDataElement | DataElement, *, signed: bool
) -> RawDataElement:
    if isinstance(element, RawDataElement):
        vr = element.VR or _vr(tag, signed=signed)
        same = element.is_little_endian and not element.is_implicit_VR
        if same or vr != "SQ":
            value = element.value or b""
            value = value if element.is_little_endian else swapped(value, _WIDTHS.get(vr, 1))
            return element._replace(VR=vr, value=value, is_implicit_VR=False, is_little_endian=True)
    items = (encoded(item, signed=signed) for item in dataset[tag].value)
    value = b"".join(struct.pack("<HHL", ITEM >> 16, ITEM & 0xFFFF, len(item)) + item for item in items)
    return RawDataElement(tag, "SQ", len(value), value, 0, False, True)


def _vr(tag: BaseTag, *, signed: bool) -> str:
    """The VR of an element that came without; that of a private one is not known, but its creator's is (PS3.5
    7.8.1)."""
    if tag.is_private:
        return "LO" if tag.is_private_creator else "UN"
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        return "UN"
    return ("SS" if signed else "US") if vr == "US or SS" else _AMBIGUOUS.get(vr, vr)
