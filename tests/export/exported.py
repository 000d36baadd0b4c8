"""Objects with a name wherever one may be, and what of it is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from made import SECRET
from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR, keyword_for_tag

from xrv_node.export.names import Names


def node(folder: Path, key: bytes = b"1") -> Names:
    """What a node with this secret calls things."""
    (folder / "patients.key").write_bytes(key * 32)
    return Names(folder)


VALUES: dict[str, object] = {
    "PN": f"{SECRET}^Anna", "DA": "20260101", "TM": "101010", "DT": "20260101101010", "AS": "066Y", "UI": "1.2.3.4.5.6",
    "UR": f"http://{SECRET}.example", "DS": "66", "IS": "66", "CS": SECRET.upper(),
    **dict.fromkeys(("AE", "LO", "SH", "UC"), SECRET), **dict.fromkeys(("ST", "LT", "UT"), f"seen, {SECRET}"),
    **dict.fromkeys(("FD", "FL"), 66.0), **dict.fromkeys(("US", "SS", "UL", "SL"), 66),
    **dict.fromkeys(("OB", "OW", "UN"), SECRET.encode()),
}  # fmt: skip
"""A value of each VR that says who it is of."""


def filled(tag: int) -> DataElement:
    """An element with such a value, a sequence with an item of several."""
    vr = dictionary_VR(tag).split(" or ")[0]
    if vr != "SQ":
        return DataElement(tag, vr, VALUES[vr])
    item = Dataset()
    item.PatientName, item.ReferencedSOPInstanceUID = VALUES["PN"], VALUES["UI"]
    item.StudyDate, item.TextValue, item.ImageComments = VALUES["DA"], VALUES["UT"], VALUES["LT"]
    return DataElement(tag, "SQ", [item])


def known(tags: Iterator[int] | list[int]) -> list[int]:
    """Those that the dictionary in use has, and that stand in a data set."""
    return [tag for tag in tags if keyword_for_tag(tag) and tag >> 16 not in (0, 2)]


def elements(dataset: Dataset) -> Iterator[DataElement]:
    """Every element, at every depth."""
    for element in dataset:
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from elements(item)


def left(dataset: Dataset) -> list[str]:
    """The elements that still have one of the values, or the name."""
    names = (SECRET.casefold(), "anna")
    return [
        f"{element.tag} {element.keyword}"
        for element in elements(dataset)
        if element.VR != "SQ"
        and (
            any(name in str(element.value).casefold() for name in names)
            or (element.VR in ("DA", "TM", "DT", "UI", "AS") and element.value == VALUES[element.VR])
        )
    ]
