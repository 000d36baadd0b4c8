"""The kinds of result that a destination can ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xrv_node.values import Style

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of a kind before any object of it is made."""

    sop_classes: tuple[str, ...]
    """SOP class UIDs (PS3.4 B.5) of which its objects can be."""
    series_number: int
    """Far above a modality's own, so that results sort to the end of a study."""
    content: str
    """First words of the Series Description."""
    varies: tuple[str, ...] = ()
    """Fields of `Style` that its objects depend on."""
    deflates: bool = False
    """Whether its objects shrink so much that they are kept deflated (PS3.5 A.5), and offered so to who asks
    for it."""


KINDS: dict[str, Kind] = {
    "report": Kind(("1.2.840.10008.5.1.4.1.1.88.22",), 9001, "AI findings", ("language",)),  # Enhanced SR
    "sr": Kind(("1.2.840.10008.5.1.4.1.1.88.34",), 9002, "AI regions"),  # Comprehensive 3D SR
    "sr-image": Kind(("1.2.840.10008.5.1.4.1.1.88.34",), 9005, "AI scores"),
    "seg": Kind(
        ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"),  # Segmentation, Label Map
        9003,
        "AI anatomy",
        ("seg_geometry", "seg_type"),
        deflates=True,  # 13 MB of bits of a large detector's image become 0.1 MB
    ),
    "sc": Kind(
        ("1.2.840.10008.5.1.4.1.1.7",),  # Secondary Capture
        9004,
        "AI picture",
        ("language",),
        deflates=True,  # 5 MB of RGB
    ),
    "pm": Kind(
        ("1.2.840.10008.5.1.4.1.1.30",),  # Parametric Map
        9006,
        "AI heat map",
        deflates=True,  # 30 MB of floats of a large detector's image
    ),
    "gsps": Kind(
        ("1.2.840.10008.5.1.4.1.1.11.1",),  # Grayscale Softcopy Presentation State
        9007,
        "AI marks",
        ("language",),
    ),
    "ko": Kind(
        ("1.2.840.10008.5.1.4.1.1.88.59",), 9008, "AI key images", ("language",)
    ),  # Key Object Selection
    "pdf": Kind(("1.2.840.10008.5.1.4.1.1.104.1",), 9009, "AI report PDF", ("language",)),
}


def variant(kind: str, style: Style) -> str:
    """Name the variant of a kind that a style asks for; destinations that get the same one share its object.

    Parameters
    ----------
    kind : str
        Key of `KINDS`.
    style : Style
        A destination's.

    Returns
    -------
    str
        E.g. ``"language=de"``; empty where the kind has one form only.
    """
    return " ".join(f"{field}={getattr(style, field)}" for field in KINDS[kind].varies)


def sop_classes(kind: str, style: Style) -> tuple[str, ...]:
    """Return the SOP classes of which a destination of this style gets objects of a kind."""
    if kind == "seg":
        return (KINDS["seg"].sop_classes[style.seg_type == "labelmap"],)
    return KINDS[kind].sop_classes


def kind_of(dataset: Dataset) -> str | None:
    """Tell the kind of one of this project's objects; None for any other object.

    Its Series Number settles it, because two kinds can be of one SOP class.
    """
    for name, kind in KINDS.items():
        if (
            dataset.get("SOPClassUID") in kind.sop_classes
            and dataset.get("SeriesNumber") == kind.series_number
        ):
            return name
    return None
