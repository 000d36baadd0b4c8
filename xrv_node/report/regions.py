"""The report for machines and for the image: regions drawn on the radiograph (TID 1500 with TID 1410 groups).

Only findings with a region are in it. One group without coordinates, however correct, makes OHIF show an
error instead of all the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes
from pydicom.sr.coding import Code

from xrv_node.attributes import text
from xrv_node.report import codes, equipment, summary
from xrv_node.report.envelope import finish, numbers, stand_in
from xrv_node.report.readable import call, finding_concept, score_item
from xrv_node.report.uids import tracking_uid
from xrv_node.values import DEFAULT_STYLE, Finding, ImageOutcome, ModelSet, Point, StudyOutcome, Style

if TYPE_CHECKING:
    import highdicom as hd

_ENGLISH = Code("en", "RFC5646", "English")
_CODE_VALUE_LENGTH, _CODE_MEANING_LENGTH = 16, 64
_TRIANGLE, _DIRECTIONS = 3, 2


def build_regions(outcome: StudyOutcome, style: Style = DEFAULT_STYLE) -> list[Dataset]:
    """Make the report of the regions of all findings that are present.

    Parameters
    ----------
    outcome : StudyOutcome
        A study with at least one image.

    Returns
    -------
    list of Dataset
        One Comprehensive 3D SR (1.2.840.10008.5.1.4.1.1.88.34), or none where no finding has a region.

    Raises
    ------
    ConfigError
        If a finding has no codes.
    """
    import highdicom as hd

    marked = [
        (image, [f for f in summary.findings(image) if f.present and len(f.region) >= _TRIANGLE])
        for _, image in summary.answered(outcome)
    ]
    marked = [(image, regions) for image, regions in marked if regions]
    if not marked:
        return []
    images = [stand_in(image.header, outcome.study_instance_uid) for image, _ in marked]
    report = hd.sr.MeasurementReport(
        observation_context=equipment.observer(outcome.model_set),
        procedure_reported=_procedure(marked[0][0].header),
        imaging_measurements=[
            _group(finding, reference, outcome.model_set)
            for (_, regions), reference in zip(marked, images, strict=True)
            for finding in regions
        ],
        title=dicom_codes.DCM.ImagingMeasurementReport,
        language_of_content_item_and_descendants=hd.sr.LanguageOfContentItemAndDescendants(
            hd.sr.CodedConcept.from_code(_ENGLISH)
        ),
        referenced_images=[_library_entry(image) for image, _ in marked],
    )
    _separate(report[0])
    made = hd.sr.Comprehensive3DSR(
        evidence=images,
        content=report[0],
        series_instance_uid=hd.UID(),  # this and the next are replaced by derived ones
        series_number=1,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer=equipment.MANUFACTURER,
        is_complete=not summary.failed(outcome),
    )
    return [finish(made, "sr", outcome, marked[0][0].header, [image.SOPInstanceUID for image in images])]


def _group(
    finding: Finding, image: Dataset, models: ModelSet
) -> hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    """One finding on one image (TID 1410). OHIF writes the NUM's concept name and value beside the region."""
    import highdicom as hd

    row = codes.finding(finding.label)
    name = f"{summary.COMMISSIONING}: {row.name}" if models.commissioning else row.name
    score = hd.sr.Measurement(
        name=row.score_commissioning if models.commissioning else row.score,
        value=0.0,
        unit=dicom_codes.UCUM.Percent,
        algorithm_id=equipment.algorithm_in_report(models),
    )
    score_item(score[0], finding.score)
    return hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            uid=tracking_uid(image.SOPInstanceUID, finding.label), identifier=name
        ),
        referenced_region=hd.sr.ImageRegion(
            graphic_type=hd.sr.GraphicTypeValues.POLYLINE,
            graphic_data=np.array(_closed(finding.region), dtype=np.float64),
            source_image=hd.sr.SourceImageForRegion(image.SOPClassUID, image.SOPInstanceUID),
        ),
        finding_type=finding_concept(row),
        finding_sites=[hd.sr.FindingSite(row.site)],
        measurements=[score],
        qualitative_evaluations=[hd.sr.QualitativeEvaluation(name=codes.CALL, value=call(finding, models))],
    )


def _closed(region: tuple[Point, ...]) -> tuple[Point, ...]:
    """Close the polygon: TID 1410 takes a POLYLINE for a region only where first and last point are the
    same."""
    return region if region[0] == region[-1] else (*region, region[0])


def _library_entry(image: ImageOutcome) -> Dataset:
    """Return what the image library (TID 1600) tells of an image: matrix and, if both are known,
    orientation and spacing (TID 1603). highdicom asks for both or, of an image that is not a projection,
    for neither."""
    entry = stand_in(image.header, "")
    if image.analysis is not None:
        entry.Rows, entry.Columns = image.analysis.frame.rows, image.analysis.frame.columns
    sides = text(image.header, "PatientOrientation").split("\\")
    spacing = numbers(image.header, "ImagerPixelSpacing", 2)
    if len(sides) == _DIRECTIONS and all(sides) and spacing is not None:
        entry.PatientOrientation, entry.ImagerPixelSpacing = (
            [summary.plain(side) for side in sides],
            list(spacing),
        )
    else:
        entry.Modality = "OT"
    return entry


def _procedure(header: Dataset) -> Code:
    """Return the imaging procedure that was done, from the source's Procedure Code Sequence (0008,1032) if
    it is complete there. (121058, DCM, Procedure reported) names the procedure, not the algorithm."""
    for item in header.get("ProcedureCodeSequence") or []:
        value, scheme, meaning = (
            text(item, keyword) for keyword in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
        )
        short = len(value) <= _CODE_VALUE_LENGTH and len(meaning) <= _CODE_MEANING_LENGTH
        if value and scheme and meaning and short:
            return Code(value, scheme, meaning)
    return codes.CHEST_IMAGING


def _separate(item: Dataset) -> None:
    """Make every container SEPARATE; highdicom makes them CONTINUOUS."""
    if item.ValueType == "CONTAINER":
        item.ContinuityOfContent = "SEPARATE"
    for child in item.get("ContentSequence", []):
        _separate(child)
