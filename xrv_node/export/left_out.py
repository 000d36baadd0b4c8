"""What is not exported, and why."""

from __future__ import annotations

import re

from pydicom import Dataset

from xrv_node.attributes import text
from xrv_node.export.confidentiality import profile

WHY: dict[str, str] = {
    "gone": "no longer here ([retention] inputs_days, results_days)",
    "changed": "changed on disk since it came or was made: `xrv-node doctor --files`",
    "unreadable": "cannot be read to its end, so nobody knows what is in it",
    "not-a-radiograph": "no CR or DX image: a scan, a screen, a document or a report may have a name in it",
    "burned-in": "says that it shows who it is of (Burned In Annotation, Recognizable Visual Features)",
    "burned-in-unknown": "does not say whether a name is in its pixels: look at them, then give "
    "--burned-in-unknown keep",
    "comments": "has comments in its compressed pixel data",
    "draws": "a picture or a PDF of the node's, which shows the patient's name",
    "refers": "a result that is also about images that are not exported",
}
"""By key, a line."""


class StaysError(Exception):
    """An object is not exported."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
        """A key of `WHY`."""


_JPEG = re.compile(rb"\xff\xd8\xff")
_COMMENT, _START_OF_SCAN, _APPLICATION = 0xFE, 0xDA, range(0xE0, 0xF0)
_HARMLESS = (b"JFIF\0", b"Adobe", b"mrfx", b"SPIFF\0")
"""First bytes of application data that say how samples are coded, and nothing else."""


def image(dataset: Dataset, *, keep_unknown: bool) -> str | None:
    """Return why an image cannot be de-identified, a key of `WHY`; None where it can.

    Parameters
    ----------
    keep_unknown
        Whether an image is taken that does not say whether text is burned into its pixels (PS3.15 E.3.1).
    """
    told = {
        name: text(dataset, name).upper() for name in ("BurnedInAnnotation", "RecognizableVisualFeatures")
    }
    if text(dataset, "SOPClassUID") not in profile().sop_classes or text(dataset, "ConversionType"):
        return "not-a-radiograph"
    if text(dataset, "Modality").upper() not in profile().modalities:
        return "not-a-radiograph"
    if "YES" in told.values():
        return "burned-in"
    if told["BurnedInAnnotation"] != "NO" and not keep_unknown:
        return "burned-in-unknown"
    return "comments" if has_comments(dataset.get("PixelData", b"")) else None


def has_comments(pixels: bytes) -> bool:
    """Whether a JPEG in encapsulated pixel data has a comment, or application data of more than how it is
    coded (ISO/IEC 10918-1 B.2.4.5, B.2.4.6)."""
    return any(_comments(pixels, match.start() + 2) for match in _JPEG.finditer(pixels))


def references(dataset: Dataset, leave: frozenset[int] = frozenset()) -> set[str]:
    """Return the SOP Instance UIDs that an object refers to, but for those below attributes that are left."""
    found: set[str] = set()
    for element in dataset:
        if element.tag in leave:
            continue
        if element.VR == "SQ":
            for item in element.value:
                found |= references(item, leave)
        elif element.keyword == "ReferencedSOPInstanceUID" and element.value:
            found.add(str(element.value))
    return found


def _comments(pixels: bytes, at: int) -> bool:
    while at + 4 <= len(pixels) and pixels[at] == 0xFF:
        marker, length = pixels[at + 1], int.from_bytes(pixels[at + 2 : at + 4], "big")
        if marker == _START_OF_SCAN:
            return False
        data = pixels[at + 4 : at + 2 + length]
        if marker == _COMMENT or (marker in _APPLICATION and not data.startswith(_HARMLESS)):
            return True
        at += 2 + length
    return False
