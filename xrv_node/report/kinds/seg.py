"""The anatomy as a segmentation of the source's own matrix.

It states the source's plane or a nominal one (`report.plane`). A destination can ask for none; where the
source has none either, the segmentation then refers to it pixel for pixel (PS3.3 A.51.5.1). In any case its
pixels are the source's pixels, however the patient lies on them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes

from xrv_node.attributes import text
from xrv_node.report import codes, equipment, summary
from xrv_node.report.envelope import finish, image_placeholders, stand_in
from xrv_node.report.laterality import doubt
from xrv_node.report.masks import label_map, source_masks
from xrv_node.report.plane import plane, state
from xrv_node.report.uids import dimension_organization_uid, tracking_uid
from xrv_node.values import DEFAULT_STYLE, PHANTOM_WORDS, ImageOutcome, ModelSet, StudyOutcome, Style

if TYPE_CHECKING:
    import highdicom as hd

SIDE_UNVERIFIED = "Side unverified"
"""Before the label of a paired structure whose side is in doubt; the name after it is the network's."""
_DIRECTIONS = re.compile(r"[ALPRHF]{1,3}\\[ALPRHF]{1,3}")
"""Patient Orientation (0020,0020) of a person (PS3.3 C.7.6.1.1.1)."""


def build(outcome: StudyOutcome, style: Style = DEFAULT_STYLE) -> list[Dataset]:
    """Make the segmentation of each image on which a structure was found.

    Parameters
    ----------
    outcome : StudyOutcome
        A closed study.
    style : Style
        ``seg_type`` ``"binary"`` gives Segmentations (1.2.840.10008.5.1.4.1.1.66.4) with a frame for each
        structure, ``"labelmap"`` Label Map Segmentations (1.2.840.10008.5.1.4.1.1.66.7) with one frame (see
        `masks.label_map`). ``seg_geometry`` ``"none"`` leaves out the nominal plane; a plane that the source
        has is stated in any case.

    Returns
    -------
    list of Dataset
        One segment for each structure that is not empty; no object for an image without any.

    Raises
    ------
    ConfigError
        If a structure has no codes.
    """
    made = (_segmentation(image, outcome, style) for _, image in summary.answered(outcome))
    return [dataset for dataset in made if dataset is not None]


def _segmentation(image: ImageOutcome, outcome: StudyOutcome, style: Style) -> Dataset | None:
    import highdicom as hd

    analysis = image.analysis
    if analysis is None:
        return None
    masks = source_masks(analysis)
    found = [k for k in range(len(masks)) if masks[k].any()]
    if not found:
        return None
    masks = masks if len(found) == len(masks) else masks[found]
    source = _source(image.header, outcome.study_instance_uid, style)
    sides = doubt(image.header, analysis) is None
    labelled = style.seg_type == "labelmap"
    made = hd.seg.Segmentation(
        **image_placeholders(outcome.model_set),
        source_images=[source],
        # One pixel, in all structures: of a whole detector's image highdicom reads each several times, which
        # takes longer than all the rest. `_fill` puts in the real ones.
        pixel_array=np.ones((1, 1, 1) if labelled else (1, 1, 1, len(found)), dtype=np.uint8),
        segmentation_type=style.seg_type.upper(),
        segment_descriptions=[
            _segment(number, analysis.structures[k], source.SOPInstanceUID, outcome.model_set, sides=sides)
            for number, k in enumerate(found, 1)
        ],
        content_label="XRV_ANATOMY",
        content_description=(
            PHANTOM_WORDS if outcome.model_set.phantom else "Anatomy by AI, not for diagnosis"
        ),
    )
    _fill(made, label_map(masks) if labelled else np.packbits(masks, bitorder="little"), masks.shape[1:])
    _settle(made, source.SOPInstanceUID, image.header)
    return finish(made, "seg", outcome, image.header, [source.SOPInstanceUID])


def _fill(made: Dataset, pixels: NDArray[np.uint8], shape: tuple[int, ...]) -> None:
    """Write the pixels: a byte each, or a bit each without a gap between frames (PS3.5 8.1.1 and annex D)."""
    made.Rows, made.Columns = shape
    data = pixels.tobytes()
    made["PixelData"].value = data + b"\0" * (len(data) % 2)


def _segment(
    number: int, target: str, sop_instance_uid: str, models: ModelSet, *, sides: bool
) -> hd.seg.SegmentDescription:
    """One structure; without `sides` the network's left and right are not claimed to be the patient's."""
    import highdicom as hd

    row = codes.structure(target)
    unsure = row.laterality is not None and not sides
    caution = "PHANTOM" if models.phantom else SIDE_UNVERIFIED if unsure else None
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
    if models.phantom:
        segment.SegmentDescription = PHANTOM_WORDS
    if row.laterality is not None and not unsure:
        modifier = hd.sr.CodedConcept.from_code(row.laterality)
        segment.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [modifier]
    return segment


def _source(header: Dataset, study_instance_uid: str, style: Style) -> Dataset:
    """Return a stand-in of one pixel for the source, with the plane that is to be stated, if any."""
    source = stand_in(header, study_instance_uid)
    source.Rows = source.Columns = 1
    stated = plane(header)
    if not (stated.nominal and style.seg_geometry == "none"):
        state(source, stated)
    return source


def _settle(made: Dataset, sop_instance_uid: str, header: Dataset) -> None:
    """Set what highdicom leaves out, draws at random or decides otherwise."""
    if made.SegmentationType == "BINARY":
        # the network's channels are independent of each other, whatever they are today
        made.SegmentsOverlap = "YES"
    else:
        # highdicom describes the background as a segment, which OHIF takes for the first structure
        made.SegmentSequence = [s for s in made.SegmentSequence if s.SegmentNumber != made.PixelPaddingValue]
    if "FrameOfReferenceUID" not in made:  # type 2C: how the patient lies, where no plane says so
        letters = text(header, "PatientOrientation").split("\\")
        made.PatientOrientation = letters if _DIRECTIONS.fullmatch("\\".join(letters)) else ""
    made.BodyPartExamined = "CHEST"
    made.ContentCreatorName = ""  # type 2; no person made it
    organization = dimension_organization_uid(sop_instance_uid)
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
