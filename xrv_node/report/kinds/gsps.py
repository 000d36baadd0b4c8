"""Marks on the source image itself: a Grayscale Softcopy Presentation State with outlines and labels.

It shows the image as its own header says (modality and VOI transformation, polarity), because a presentation
state replaces all of that: what it does not state is not applied (PS3.4 N.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from pydicom import DataElement, Dataset

from xrv_node.attributes import number, text
from xrv_node.radiograph.aspect import aspect
from xrv_node.radiograph.lookup import Table, first_table, is_inverted
from xrv_node.report import codes, summary
from xrv_node.report.envelope import finish, image_placeholders, stand_in
from xrv_node.report.legend import called
from xrv_node.report.lettering import YELLOW
from xrv_node.report.located import settled
from xrv_node.report.measurement_report import named
from xrv_node.report.phrases import meaning, say
from xrv_node.report.uids import tracking_uid
from xrv_node.values import (
    DEFAULT_STYLE,
    PHANTOM_WORDS,
    Finding,
    Frame,
    ImageOutcome,
    ModelSet,
    StudyOutcome,
    Style,
)

if TYPE_CHECKING:
    import highdicom as hd

_LABEL = (0.3, 0.03)
"""Width and height of a label's box as a share of the image's; viewers let longer text run out of it."""
_NOTICE_BOX = (0.0, 0.96, 1.0, 1.0)
"""Left, top, right and bottom in the displayed area: its last lines."""
_WINDOWS = {"LINEAR", "LINEAR_EXACT", "SIGMOID"}
_TRIANGLE = 3


def build(outcome: StudyOutcome, style: Style = DEFAULT_STYLE) -> list[Dataset]:
    """Make the presentation state of each image on which a finding has a region.

    Parameters
    ----------
    outcome : StudyOutcome
        A closed study.
    style : Style
        Its language is the labels'.

    Returns
    -------
    list of Dataset
        Grayscale Softcopy Presentation States (1.2.840.10008.5.1.4.1.1.11.1), one for an image; none for a
        colour image, which they cannot be about.

    Raises
    ------
    ConfigError
        If a finding has no codes.
    """
    made = (_presentation(settled(image), outcome, style.language) for _, image in summary.answered(outcome))
    return [dataset for dataset in made if dataset is not None]


def _presentation(image: ImageOutcome, outcome: StudyOutcome, language: str) -> Dataset | None:
    import highdicom as hd

    marked = [f for f in summary.findings(image) if f.present and len(f.region) >= _TRIANGLE]
    if image.analysis is None or not marked or text(image.header, "SamplesPerPixel") not in ("", "1"):
        return None
    source = stand_in(image.header, outcome.study_instance_uid)
    frame, phantom = image.analysis.frame, outcome.model_set.phantom
    source.Rows, source.Columns, source.SamplesPerPixel = frame.rows, frame.columns, 1
    color = hd.color.CIELabColor.from_rgb(*YELLOW)
    marks, notices = (
        hd.pr.GraphicLayer(name, order, display_color=color)
        for order, name in enumerate(("AI_FINDINGS", "AI_NOTICE"), 1)
    )
    made = hd.pr.GrayscaleSoftcopyPresentationState(
        **image_placeholders(outcome.model_set),
        referenced_images=[source],
        content_label="XRV_MARKS",
        content_description=PHANTOM_WORDS if phantom else "Marks by AI, not for diagnosis",
        graphic_layers=[marks, notices],
        graphic_annotations=[
            hd.pr.GraphicAnnotation(
                referenced_images=[source],
                graphic_layer=marks,
                graphic_objects=[_outline(f, source.SOPInstanceUID, outcome.model_set) for f in marked],
                text_objects=_labels(marked, frame, language, phantom=phantom),
            ),
            hd.pr.GraphicAnnotation(
                referenced_images=[source],
                graphic_layer=notices,
                text_objects=[_notice(language, phantom=phantom)],
            ),
        ],
    )
    _show(made, image.header)
    # in whole numbers (IS), vertical and horizontal (PS3.3 C.10.4)
    tall = Fraction(aspect(image.header)).limit_denominator(1000)
    for area in made.DisplayedAreaSelectionSequence:
        area.PresentationPixelAspectRatio = [tall.numerator, tall.denominator]
    made.BodyPartExamined = "CHEST"
    made.ContentCreatorName = ""  # type 2; no person made it
    return finish(made, "gsps", outcome, image.header, [source.SOPInstanceUID], language)


def _notice(language: str, *, phantom: bool) -> hd.pr.TextObject:
    import highdicom as hd

    words = say("picture_notice", language)
    if phantom:
        words = f"{meaning(codes.PHANTOM_SET, language)} - {words}"
    return hd.pr.TextObject(words, "DISPLAY", bounding_box=_NOTICE_BOX)


def _outline(finding: Finding, sop_instance_uid: str, models: ModelSet) -> hd.pr.GraphicObject:
    import highdicom as hd

    return hd.pr.GraphicObject(
        "POLYLINE",
        np.array(finding.region),
        "PIXEL",
        tracking_id=named(codes.finding(finding.label).name, models),  # as in the report of the regions
        tracking_uid=tracking_uid(sop_instance_uid, finding.label),
    )


def _labels(
    marked: Sequence[Finding], frame: Frame, language: str, *, phantom: bool
) -> list[hd.pr.TextObject]:
    """Name and score of each finding, above its region where there is room, and not on another label."""
    import highdicom as hd

    width, height = _LABEL[0] * frame.columns, _LABEL[1] * frame.rows
    lines = [n * height for n in range(int(1 / _LABEL[1]))]
    labels: list[hd.pr.TextObject] = []
    taken: list[tuple[float, float]] = []
    for finding in marked:
        column, row = min(finding.region, key=lambda point: point[1])
        left = min(max(column - width / 2, 0.0), frame.columns - width)
        wanted = max(row - 1.5 * height, 0.0)
        used = [y for x, y in taken if abs(left - x) < width]
        free = [y for y in lines if all(abs(y - other) > 0.99 * height for other in used)] or lines
        top = min((abs(y - wanted), y) for y in free)[1]
        taken.append((left, top))
        words = called(finding, language)
        labels.append(
            hd.pr.TextObject(
                f"{say('picture_phantom', language)}: {words}" if phantom else words,
                "PIXEL",
                bounding_box=(left, top, left + width, top + height),
                anchor_point=(column, row),
            )
        )
    return labels


def _show(made: Dataset, header: Dataset) -> None:
    """State how the image is shown, as `radiograph.lookup` reads it off its header."""
    low = -1.0 if text(header, "PixelRepresentation") == "1" else 0.0
    center, width = number(header, "WindowCenter"), number(header, "WindowWidth")
    slope, intercept = number(header, "RescaleSlope"), number(header, "RescaleIntercept")
    if table := first_table(header, "ModalityLUTSequence", low):
        item = _table_item(table, low, 16)  # 8 or 16 bits (PS3.3 C.11.1.1.1), whatever the entries have
        item.ModalityLUTType = "US"  # unspecified (PS3.3 C.11.1.1.2)
        made.ModalityLUTSequence = [item]
        if center is None or width is None:
            center, width = (table.white + 1) / 2, table.white + 1  # from 0 to the largest entry
    elif slope and intercept is not None:
        made.RescaleSlope, made.RescaleIntercept, made.RescaleType = (
            _decimal(slope),
            _decimal(intercept),
            "US",
        )
    voi = Dataset()
    if table := first_table(header, "VOILUTSequence", low):
        voi.VOILUTSequence = [_table_item(table, low, max(8, int(table.white).bit_length()))]
    elif center is not None and width is not None and width >= 1:
        voi.WindowCenter, voi.WindowWidth = _decimal(center), _decimal(width)
        function = text(header, "VOILUTFunction")
        if function in _WINDOWS:
            voi.VOILUTFunction = function
    if len(voi):
        made.SoftcopyVOILUTSequence = [voi]
    made.PresentationLUTShape = "INVERSE" if is_inverted(header) else "IDENTITY"


def _table_item(table: Table, low: float, bits: int) -> Dataset:
    """Return a LUT as an item of its sequence (PS3.3 C.11.1.1.1), in words however the source packed it."""
    item = Dataset()
    descriptor = [len(table.entries) % (1 << 16), table.first, bits]
    item["LUTDescriptor"] = DataElement("LUTDescriptor", "SS" if low < 0 else "US", descriptor)
    item["LUTData"] = DataElement("LUTData", "OW", table.entries.astype("<u2").tobytes())
    return item


def _decimal(value: float) -> str:
    """Return a number as a decimal string (DS) of at most 16 characters."""
    from pydicom.valuerep import format_number_as_ds

    return format_number_as_ds(value)
