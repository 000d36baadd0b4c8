"""The plane of an image: its own, or a nominal one.

A radiograph has no plane, and OHIF fails on a segmentation or parametric map without one. The nominal plane
is a frame of reference of its own, the origin, rows to the right and columns down, which is what OHIF and ITK
assume for an image without a plane. It is never written into the source and says nothing about the patient.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom import Dataset

from xrv_node.attributes import SPACINGS, numbers, spacing, text
from xrv_node.report.uids import frame_of_reference_uid

_NOMINAL_POSITION, _NOMINAL_ORIENTATION = (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Plane:
    """Where the pixels of an image are (PS3.3 C.7.6.2)."""

    frame_of_reference_uid: str
    position: tuple[float, ...]
    """Image Position (Patient): the centre of the first pixel, in mm."""
    orientation: tuple[float, ...]
    """Image Orientation (Patient): direction cosines of the rows and the columns."""
    spacing: tuple[float, ...]
    """Between rows and between columns, in mm."""
    nominal: bool
    """Whether the image has no plane of its own."""


def plane(header: Dataset) -> Plane:
    """Return an image's plane: its own if it has a complete one, else the nominal one.

    The spacing is Pixel Spacing, else that at the detector or scanner, else one mm.
    """
    uid = text(header, "FrameOfReferenceUID") or frame_of_reference_uid(text(header, "SOPInstanceUID"))
    position = numbers(header, "ImagePositionPatient", 3)
    orientation = numbers(header, "ImageOrientationPatient", 6)
    between = spacing(header, *SPACINGS) or (1.0, 1.0)
    if position is None or orientation is None:
        return Plane(uid, _NOMINAL_POSITION, _NOMINAL_ORIENTATION, between, nominal=True)
    return Plane(uid, position, orientation, between, nominal=False)


def state(source: Dataset, stated: Plane) -> None:
    """Write a plane into a stand-in for the image, for highdicom to copy."""
    source.FrameOfReferenceUID = stated.frame_of_reference_uid
    source.PositionReferenceIndicator = ""
    source.ImagePositionPatient, source.ImageOrientationPatient = (
        list(stated.position),
        list(stated.orientation),
    )
    source.PixelSpacing = list(stated.spacing)
    source.SliceThickness = 1.0  # highdicom copies it; a projection has none, and viewers do not look at it
