"""Text elements as the bytes that came.

pydicom decodes a value that is looked at, and encodes it anew when it is written. That is not always what
came: escape sequences that were not needed are gone, so are delimiters at the end of a name, and bytes that
are not of the declared character set become U+FFFD. pydicom's writers take bytes as they are, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydicom import DataElement, Dataset, config, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR, PersonName

Element = DataElement | RawDataElement

_LAST_GROUP = 0x0020
"""Patient and study are in groups 0008 to 0020 (PS3.6); pixels and what is said of each frame are behind."""


def read(path: Path) -> Dataset:
    """Read a DICOM file that is to be written in another transfer syntax.

    Parameters
    ----------
    path : Path
        A DICOM file (PS3.10) in little endian.

    Returns
    -------
    Dataset
        With all text as `restore` leaves it.

    Raises
    ------
    pydicom.errors.InvalidDicomError
        If it is not DICOM; and whatever else ``pydicom.dcmread`` raises.
    """
    dataset = dcmread(path)
    restore(dataset, dataset, list(dataset.keys()))
    return dataset


def remember(dataset: Dataset) -> None:
    """Keep the bytes of a dataset's elements with it, whatever of it is looked at later.

    Parameters
    ----------
    dataset : Dataset
        As it was read, before anything was looked at.
    """
    dataset.remembered = _untouched(e for e in dataset.items() if e[0] >> 16 <= _LAST_GROUP)


def remembered(dataset: Dataset) -> Dataset:
    """Return a dataset's elements, groups 0008 to 0020, as they came; the dataset itself where none were
    kept, as of one that was made in memory."""
    return getattr(dataset, "remembered", dataset)


def restore(made: Dataset, source: Dataset, tags: Iterable[BaseTag]) -> None:
    """Give text elements the bytes that they have in another dataset; in place.

    Parameters
    ----------
    made : Dataset
        With the values of `source` in these elements, decoded.
    source : Dataset
        In the same character set. What has been looked at in it has no bytes any more and stays decoded.
        It can be `made` itself.
    tags : iterable of BaseTag
        Elements of `made`; of a sequence, all text in it. Names can be read afterwards; other text is bytes,
        padding included (PS3.5 6.2: SH, LO, ST, LT, UC, UT).
    """
    for tag in tags:
        came = source.get_item(tag)
        element = made[tag]
        if element.VR == "SQ":
            if tag in source:
                for item, theirs in zip(element.value, source[tag].value, strict=True):
                    restore(item, theirs, list(item.keys()))
        elif element.VR in CUSTOMIZABLE_CHARSET_VR and isinstance(came, RawDataElement) and came.value:
            value = _name(element, came.value) if element.VR == "PN" else came.value
            made[tag] = DataElement(tag, element.VR, value, already_converted=True)


def _name(element: DataElement, came: bytes) -> PersonName:
    """One name or several, of which pydicom writes the bytes as long as it is told of no encoding."""
    names = element.value if isinstance(element.value, MultiValue) else [element.value]
    decoded = "\\".join(map(str, names))
    return PersonName(decoded, original_string=came, validation_mode=config.IGNORE)


def _untouched(elements: Iterable[tuple[BaseTag, Element]]) -> Dataset:
    """Copy what holds the elements: they are replaced when they are looked at, not changed. A value of None
    is one that was not read, for its length."""
    return Dataset({tag: _apart(element) for tag, element in elements if element.value is not None})


def _apart(element: Element) -> Element:
    if isinstance(element, RawDataElement) or element.VR != "SQ":
        return element
    return DataElement(element.tag, "SQ", [_untouched(item.items()) for item in element.value])
