"""What is not exported, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydicom import Dataset

from xrv_node.attributes import text
from xrv_node.export.confidentiality import profile
from xrv_node.export.remains import holds, identifying

WHY: dict[str, str] = {
    "gone": "no longer here ([retention] inputs_days, results_days)",
    "changed": "changed on disk since it came or was made: `xrv-node doctor --files`",
    "unreadable": "cannot be read to its end, so nobody knows what is in it",
    "not-a-radiograph": "no CR or DX image: a scan, a screen, a document or a report may have a name in it",
    "burned-in": "says that it shows who it is of (Burned In Annotation, Recognizable Visual Features)",
    "burned-in-unknown": "does not say whether a name is in its pixels: look at them, then give "
    "--burned-in-unknown keep",
    "overlay": "has an overlay in unused bits of its pixels",
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


_JPEG, _JPEG_2000 = re.compile(rb"\xff\xd8\xff"), re.compile(rb"\xff\x4f\xff\x51")
_COMMENT, _START_OF_SCAN, _APPLICATION = 0xFE, 0xDA, range(0xE0, 0xF0)
_COMMENT_2000, _START_OF_TILE = 0x64, 0x90
_OVERLAYS, _BIT_POSITION = 0x6000, 0x0102
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
    if _has_overlay_within(dataset):
        return "overlay"
    return "comments" if has_comments(dataset.get("PixelData", b""), identifying(dataset)) else None


def has_comments(pixels: bytes, said: frozenset[str] = frozenset()) -> bool:
    """Whether encapsulated pixel data have text that may be of somebody.

    In a JPEG any comment, and application data of more than how it is coded (ISO/IEC 10918-1 B.2.4.5,
    B.2.4.6); in a JPEG 2000, where encoders write their own names, a comment with a word of `said` (ISO/IEC
    15444-1 A.9.2).
    """
    return any(
        marker == _COMMENT or (marker in _APPLICATION and not data.startswith(_HARMLESS))
        for found in _JPEG.finditer(pixels)
        for marker, data in _segments(pixels, found.start() + 2, _START_OF_SCAN)
    ) or any(
        marker == _COMMENT_2000 and holds(data.decode("latin-1"), said)
        for found in _JPEG_2000.finditer(pixels)
        for marker, data in _segments(pixels, found.start() + 2, _START_OF_TILE)
    )


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


def _has_overlay_within(dataset: Dataset) -> bool:
    """Whether an overlay is where pixels have bits to spare, as it was up to 2004 (PS3.5 8.1.2)."""
    return any(
        element.tag.group & 0xFF00 == _OVERLAYS
        and element.tag.element == _BIT_POSITION
        and element.value != 0
        for element in dataset
    )


def _segments(pixels: bytes, at: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The marker segments of a codestream up to one marker."""
    while at + 4 <= len(pixels) and pixels[at] == 0xFF and (marker := pixels[at + 1]) != end:
        length = int.from_bytes(pixels[at + 2 : at + 4], "big")
        yield marker, pixels[at + 4 : at + 2 + length]
        at += 2 + length
