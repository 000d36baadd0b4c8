"""The report for the image: regions and measurements drawn on the radiograph (``sr``).

A finding's region and a lung's outline are planar regions of interest (TID 1410). The lines of the
cardiothoracic ratio are none: a diameter is measured along an open line, which TID 1410 does not take, so
they are the coordinates of the measurement itself (TID 1501 with TID 300 and 320). OHIF draws both. It takes
one content item below such a number, so what else there is to say stands in the group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes
from pydicom.sr.coding import Code

from xrv_node.languages import ENGLISH
from xrv_node.reasons import Reason
from xrv_node.report import codes, summary
from xrv_node.report.certainty import near
from xrv_node.report.located import place
from xrv_node.report.measurement_report import Shared, document, finding_parts, tracking
from xrv_node.report.measurements import Measure, measure
from xrv_node.report.phrases import say
from xrv_node.values import DEFAULT_STYLE, Finding, Frame, ImageOutcome, Point, StudyOutcome, Style

if TYPE_CHECKING:
    import highdicom as hd

    from xrv_node.report.measurement_report import Group

_STEP = 0.01
"""Of the square's side."""
_UNITS = {
    "{ratio}": dicom_codes.UCUM.Ratio,
    "{pixels}": Code("{pixels}", "UCUM", "Pixels"),  # as in PS3.16 TID 1602
    "mm": dicom_codes.UCUM.Millimeter,
    "mm2": dicom_codes.UCUM.SquareMillimeter,
}
_DECIMALS = {"{ratio}": 3, "{pixels}": 0, "mm": 1, "mm2": 0}
"""To read; the exact value goes with it (Floating Point Value)."""


def build(outcome: StudyOutcome, style: Style = DEFAULT_STYLE) -> list[Dataset]:
    """Make the report of the regions of all findings that are present and of what could be measured.

    Parameters
    ----------
    outcome : StudyOutcome
        A study with at least one image.

    Returns
    -------
    list of Dataset
        One Comprehensive 3D SR (1.2.840.10008.5.1.4.1.1.88.34), or none where no finding is present and
        nothing was measured.

    Raises
    ------
    ConfigError
        If a finding has no codes.
    """
    return document("sr", outcome, _groups)


def _groups(image: ImageOutcome, shared: Shared) -> list[Group]:
    present = [f for f in summary.findings(image) if f.present]
    measured = measure(image)
    widths = [m for m in measured if m.unit != "mm2"]
    return [
        *(_finding(finding, image, step, shared) for step, finding in enumerate(present)),
        *([_ratio(widths, shared)] if widths else []),
        *(_area(m, shared) for m in measured if m.unit == "mm2"),
    ]


def _finding(finding: Finding, image: ImageOutcome, step: int, shared: Shared) -> Group:
    """One finding (TID 1410). OHIF writes the NUM's concept name and value beside the region.

    A finding without a region has its group all the same, around all that the networks saw, a little further
    in for each finding so that two names do not cover one another: OHIF shows nothing of a report with a
    group that has no coordinates.
    """
    import highdicom as hd

    where = place(image, finding)
    outline = where.region or _around(shared.analysis.frame, step)
    group = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        referenced_region=_region(outline, shared), **finding_parts(finding, where, shared)
    )
    if where.caution:
        _say(group, codes.NO_REGION, str(where.caution))
    if near(finding):
        _say(group, codes.NOTE, say("near_over", ENGLISH))
    return group


def _around(frame: Frame, step: int) -> tuple[Point, ...]:
    """The outline of the networks' square within the image, `step` steps inside."""
    inset = (1 + step) * _STEP * frame.side
    top, left = max(frame.top, 0) + inset, max(frame.left, 0) + inset
    bottom = min(frame.top + frame.extent[0], frame.rows) - inset
    right = min(frame.left + frame.extent[1], frame.columns) - inset
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _area(measured: Measure, shared: Shared) -> Group:
    """The area of one lung with its outline (TID 1410)."""
    import highdicom as hd

    row = codes.measurement(measured.key)
    group = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(shared, measured.key, row.name),
        referenced_region=_region(measured.outlines[0], shared),
        algorithm_id=shared.algorithms["segmenter"],
        finding_sites=[hd.sr.FindingSite(row.site, row.laterality)],
        measurements=[_number(measured, shared, ())],
    )
    return _with_caveats(group, measured.caveats)


def _ratio(widths: list[Measure], shared: Shared) -> Group:
    """The cardiothoracic ratio and the two diameters in one group (TID 1501), each with the coordinates that
    it was measured from: a diameter's line, and for the ratio the end points of both."""
    import highdicom as hd

    row = codes.measurement(widths[0].key)
    group = hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(shared, row.key, row.name),
        algorithm_id=shared.algorithms["segmenter"],
        finding_sites=[hd.sr.FindingSite(row.site)],
        measurements=[_number(m, shared, [point for line in m.outlines for point in line]) for m in widths],
    )
    return _with_caveats(group, tuple(dict.fromkeys(c for m in widths for c in m.caveats)))


def _number(measured: Measure, shared: Shared, points: list[Point] | tuple[()]) -> hd.sr.Measurement:
    """One value (TID 300), inferred from points where it has some of its own (TID 320): a line, or the ends
    of several."""
    import highdicom as hd

    row = codes.measurement(measured.key)
    shapes = hd.sr.GraphicTypeValues
    number = hd.sr.Measurement(
        name=row.phantom if shared.models.phantom else row.code,
        value=float(measured.value),
        unit=_UNITS[measured.unit],
        referenced_coordinates=[
            hd.sr.CoordinatesForMeasurement(
                graphic_type=shapes.POLYLINE if len(measured.outlines) == 1 else shapes.MULTIPOINT,
                graphic_data=np.array(points, dtype=np.float64),
                source_image=_source(shared),
                purpose=dicom_codes.DCM.SourceOfMeasurement,
            )
        ]
        if points
        else None,
    )
    number[0].MeasuredValueSequence[0].NumericValue = f"{measured.value:.{_DECIMALS[measured.unit]}f}"
    return number


def _region(outline: tuple[Point, ...], shared: Shared) -> hd.sr.ImageRegion:
    """A planar region. TID 1410 takes a POLYLINE only where first and last point are the same."""
    import highdicom as hd

    closed = outline if outline[0] == outline[-1] else (*outline, outline[0])
    return hd.sr.ImageRegion(
        graphic_type=hd.sr.GraphicTypeValues.POLYLINE,
        graphic_data=np.array(closed, dtype=np.float64),
        source_image=_source(shared),
    )


def _source(shared: Shared) -> hd.sr.SourceImageForRegion:
    import highdicom as hd

    return hd.sr.SourceImageForRegion(shared.reference.SOPClassUID, shared.reference.SOPInstanceUID)


def _with_caveats(group: Group, caveats: tuple[Reason, ...]) -> Group:
    _say(group, codes.CAVEAT, " ".join(map(str, caveats)))
    return group


def _say(group: Group, name: Code, words: str) -> None:
    import highdicom as hd

    contains = hd.sr.RelationshipTypeValues.CONTAINS
    group[0].ContentSequence.append(hd.sr.TextContentItem(name=name, value=words, relationship_type=contains))
