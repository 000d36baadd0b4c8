"""The anatomy as a segmentation of the source's own matrix.

A radiograph has no plane, and a segmentation without one takes OHIF down. So the segmentation states a
nominal plane: a frame of reference of its own, the origin, rows to the right and columns down, which is
what OHIF and ITK assume for an image without a plane. It is never written into the source and says nothing
about the patient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes

from xrv_node.attributes import text
from xrv_node.report import codes, equipment, summary
from xrv_node.report.envelope import finish, numbers, stand_in
from xrv_node.report.laterality import doubt
from xrv_node.report.uids import dimension_organization_uid, frame_of_reference_uid, tracking_uid
from xrv_node.values import DEFAULT_STYLE, Analysis, Frame, ImageOutcome, ModelSet, StudyOutcome, Style

if TYPE_CHECKING:
    import highdicom as hd

_NOMINAL_ORIENTATION, _NOMINAL_POSITION = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0)
SIDE_UNVERIFIED = "Side unverified"
"""Before the label of a paired structure whose side is in doubt; the name after it is the network's."""
_HALF = 128
"""Where a resampled 0/255 mask is cut: a pixel belongs to the structure that covers more than half of it."""


def build_segmentations(outcome: StudyOutcome, style: Style = DEFAULT_STYLE) -> list[Dataset]:
    """Make the segmentation of each image on which a structure was found.

    Parameters
    ----------
    outcome : StudyOutcome
        A closed study.

    Returns
    -------
    list of Dataset
        BINARY Segmentations (1.2.840.10008.5.1.4.1.1.66.4), one segment and frame for each structure that
        is not empty; no object for an image without any.

    Raises
    ------
    ConfigError
        If a structure has no codes.
    """
    made = (_segmentation(image, outcome) for _, image in summary.answered(outcome))
    return [dataset for dataset in made if dataset is not None]


def source_masks(analysis: Analysis) -> NDArray[np.bool_]:
    """Bring the masks from the networks' square to the source's matrix.

    They are resampled linearly and cut at one half, which keeps outlines smooth where nearest neighbours
    make steps of several pixels; a mask of the square's own size is taken as it is. Outside the square all
    is False.

    Parameters
    ----------
    analysis : Analysis
        ``masks`` ``[k, n, n]`` over the square of ``frame``, which may reach beyond the image.

    Returns
    -------
    ndarray of bool
        ``[k, rows, columns]``.
    """
    import cv2

    frame = analysis.frame
    out = np.zeros((len(analysis.masks), frame.rows, frame.columns), dtype=np.bool_)
    image, square = _overlap(frame)
    for mask, target in zip(analysis.masks, out, strict=True):
        if mask.any():
            grey = mask.astype(np.uint8) * 255
            if mask.shape != (frame.side, frame.side):
                grey = cv2.resize(grey, (frame.side, frame.side), interpolation=cv2.INTER_LINEAR)
            target[image] = grey[square] >= _HALF
    return out


def _overlap(frame: Frame) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return where image and square overlap, once in the image's rows and columns and once in the
    square's."""
    top, left = max(frame.top, 0), max(frame.left, 0)
    bottom, right = min(frame.top + frame.side, frame.rows), min(frame.left + frame.side, frame.columns)
    image = (slice(top, max(bottom, top)), slice(left, max(right, left)))
    y, x = top - frame.top, left - frame.left
    return image, (slice(y, y + max(bottom - top, 0)), slice(x, x + max(right - left, 0)))


def _segmentation(image: ImageOutcome, outcome: StudyOutcome) -> Dataset | None:
    import highdicom as hd

    analysis = image.analysis
    if analysis is None:
        return None
    masks = source_masks(analysis)
    found = [k for k in range(len(masks)) if masks[k].any()]
    if not found:
        return None
    source = _with_plane(image.header, outcome.study_instance_uid, analysis.frame)
    sides = doubt(image.header, analysis) is None
    made = hd.seg.Segmentation(
        source_images=[source],
        # highdicom takes the structures last and reads them one by one: a view, not a second copy
        pixel_array=np.moveaxis(masks[found], 0, -1)[np.newaxis],
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _segment(number, analysis.structures[k], source.SOPInstanceUID, outcome.model_set, sides=sides)
            for number, k in enumerate(found, 1)
        ],
        series_instance_uid=hd.UID(),  # this and the next are replaced by derived ones
        series_number=1,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer=equipment.MANUFACTURER,
        manufacturer_model_name=equipment.NAME,
        software_versions=equipment.version(outcome.model_set),
        device_serial_number=equipment.serial_number(outcome.model_set),
        content_label="XRV_ANATOMY",
        content_description=(
            summary.COMMISSIONING if outcome.model_set.commissioning else "Anatomy by AI, not for diagnosis"
        ),
    )
    _settle(made, source.SOPInstanceUID)
    return finish(made, "seg", outcome, image.header, [source.SOPInstanceUID])


def _segment(
    number: int, target: str, sop_instance_uid: str, models: ModelSet, *, sides: bool
) -> hd.seg.SegmentDescription:
    """One structure; without `sides` the network's left and right are not claimed to be the patient's."""
    import highdicom as hd

    row = codes.structure(target)
    unsure = row.laterality is not None and not sides
    caution = summary.COMMISSIONING if models.commissioning else SIDE_UNVERIFIED if unsure else None
    label = f"{caution}: {target}" if caution else target
    segment = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=dicom_codes.SCT.AnatomicalStructure,
        segmented_property_type=row.code,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=equipment.algorithm_in_segment(models),
        tracking_uid=tracking_uid(sop_instance_uid, target),
        tracking_id=label,
        display_color=hd.color.CIELabColor.from_rgb(*row.color),
    )
    if row.laterality is not None and not unsure:
        modifier = hd.sr.CodedConcept.from_code(row.laterality)
        segment.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [modifier]
    return segment


def _with_plane(header: Dataset, study_instance_uid: str, frame: Frame) -> Dataset:
    """Return a stand-in for the source with a plane: its own if it has a complete one, else the nominal
    one."""
    source = stand_in(header, study_instance_uid)
    source.Rows, source.Columns = frame.rows, frame.columns
    source.FrameOfReferenceUID = text(header, "FrameOfReferenceUID") or frame_of_reference_uid(
        source.SOPInstanceUID
    )
    source.PositionReferenceIndicator = ""
    position, orientation = (
        numbers(header, "ImagePositionPatient", 3),
        numbers(header, "ImageOrientationPatient", 6),
    )
    if position is None or orientation is None:
        position, orientation = _NOMINAL_POSITION, _NOMINAL_ORIENTATION
    source.ImagePositionPatient, source.ImageOrientationPatient = list(position), list(orientation)
    source.PixelSpacing = list(_spacing(header))
    source.SliceThickness = 1.0  # highdicom copies it; a projection has none, and viewers do not look at it
    return source


def _spacing(header: Dataset) -> tuple[float, ...]:
    """Return the spacing in mm: Pixel Spacing, else that at the detector or scanner, else one."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        spacing = numbers(header, keyword, 2)
        if spacing is not None and min(spacing) > 0:
            return spacing
    return (1.0, 1.0)


def _settle(made: Dataset, sop_instance_uid: str) -> None:
    """Set what highdicom leaves out, draws at random or decides otherwise."""
    made.SegmentsOverlap = (
        "YES"  # the network's channels are independent of each other, whatever they are today
    )
    made.BodyPartExamined = "CHEST"
    made.ContentCreatorName = ""  # type 2; no person made it
    organization = dimension_organization_uid(sop_instance_uid)
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
