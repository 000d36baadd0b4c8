"""The kinds of result that a destination can ask for, a row each; ``report.kinds`` has a builder for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    modality: str
    """Modality (0008,0060) of its objects."""
    template: str = ""
    """Template (PS3.16) of its content, for the conformance statement."""
    varies: tuple[str, ...] = ()
    """Fields of `Style` that its objects depend on."""
    only_with: Mapping[str, str] = field(default_factory=dict)
    """By SOP class, the choice of a style without which no object is of it."""
    deflates: bool = False
    """Whether its objects shrink so much that they are kept deflated (PS3.5 A.5), and offered so to who asks
    for it."""


KINDS: dict[str, Kind] = {
    "report": Kind(
        ("1.2.840.10008.5.1.4.1.1.88.22",),  # Enhanced SR
        9001,
        "AI findings",
        "SR",
        "none; title (43468-8, LN, X-Ray Report)",
        varies=("language",),
    ),
    "sr": Kind(
        ("1.2.840.10008.5.1.4.1.1.88.34",),  # Comprehensive 3D SR
        9002,
        "AI regions",
        "SR",
        "TID 1500 with TID 1410 groups",
    ),
    "sr-image": Kind(
        ("1.2.840.10008.5.1.4.1.1.88.34",), 9005, "AI scores", "SR", "TID 1500 with TID 1501 groups"
    ),
    "seg": Kind(
        ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"),  # Segmentation, Label Map
        9003,
        "AI anatomy",
        "SEG",
        varies=("seg_geometry", "seg_type"),
        only_with={
            "1.2.840.10008.5.1.4.1.1.66.4": "seg_type=binary",
            "1.2.840.10008.5.1.4.1.1.66.7": "seg_type=labelmap",
        },
        deflates=True,  # 13 MB of bits of a large detector's image become 0.1 MB
    ),
    "sc": Kind(
        ("1.2.840.10008.5.1.4.1.1.7",),  # Secondary Capture
        9004,
        "AI picture",
        "OT",
        varies=("language",),
        deflates=True,  # 5 MB of RGB
    ),
    "pm": Kind(
        ("1.2.840.10008.5.1.4.1.1.30",),  # Parametric Map
        9006,
        "AI heat map",
        "OT",
        deflates=True,  # 30 MB of floats of a large detector's image
    ),
    "gsps": Kind(
        ("1.2.840.10008.5.1.4.1.1.11.1",),  # Grayscale Softcopy Presentation State
        9007,
        "AI marks",
        "PR",
        varies=("language",),
    ),
    "ko": Kind(
        ("1.2.840.10008.5.1.4.1.1.88.59",),  # Key Object Selection
        9008,
        "AI key images",
        "KO",
        "TID 2010",
        varies=("language",),
    ),
    "pdf": Kind(("1.2.840.10008.5.1.4.1.1.104.1",), 9009, "AI report PDF", "DOC", varies=("language",)),
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
    return " ".join(_choices(kind, style))


def sop_classes(kind: str, style: Style) -> tuple[str, ...]:
    """Return the SOP classes of which a destination of this style gets objects of a kind."""
    row, choices = KINDS[kind], _choices(kind, style)
    return tuple(uid for uid in row.sop_classes if uid not in row.only_with or row.only_with[uid] in choices)


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


def _choices(kind: str, style: Style) -> list[str]:
    return [f"{field}={getattr(style, field)}" for field in KINDS[kind].varies]
