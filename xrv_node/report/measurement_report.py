"""The frame of the two documents for machines, regions and scores: TID 1500, and what their groups share.

They are two because a viewer needs it so: one group without coordinates, however correct, makes OHIF show an
error instead of all the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes
from pydicom.sr.coding import Code

from xrv_node import languages
from xrv_node.attributes import items, numbers, text
from xrv_node.report import codes, equipment, summary
from xrv_node.report.envelope import finish, placeholders, stand_in
from xrv_node.report.kinds.report import call, finding_concept, score_item
from xrv_node.report.located import Place
from xrv_node.report.phrases import say
from xrv_node.report.uids import tracking_uid
from xrv_node.report.wording import plain
from xrv_node.values import (
    OPERATING_POINT,
    PHANTOM_WORDS,
    Analysis,
    Finding,
    ImageOutcome,
    ModelSet,
    StudyOutcome,
)

if TYPE_CHECKING:
    import highdicom as hd

    Group = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations | hd.sr.MeasurementsAndQualitativeEvaluations

_ENGLISH = Code("en", "RFC5646", "English")
_CODE_VALUE_LENGTH, _CODE_MEANING_LENGTH = 16, 64
_DIRECTIONS = 2
_DRAWN = "sr"
"""The kind that viewers draw. OHIF shows a number by its coordinates and hides one that has none: none is
such."""


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """What the groups of one image have in common. Its items are built once: most of a document's time goes
    into making and copying items, and one that is in several groups is copied once."""

    reference: Dataset
    """Stand-in for the image."""
    analysis: Analysis
    models: ModelSet
    algorithms: dict[str, hd.sr.AlgorithmIdentification]
    """By the role of the network."""
    operating_point: hd.sr.NumContentItem | hd.sr.TextContentItem


def document(
    kind: str,
    outcome: StudyOutcome,
    groups: Callable[[ImageOutcome, Shared], Sequence[Group]],
) -> list[Dataset]:
    """Make a measurement report of all images that were answered.

    Parameters
    ----------
    kind : str
        Key of `result_kinds.KINDS`.
    outcome : StudyOutcome
        A study with at least one image.
    groups : callable
        Makes the measurement groups of an image.

    Returns
    -------
    list of Dataset
        One Comprehensive 3D SR (1.2.840.10008.5.1.4.1.1.88.34), or none where no image has a group; only
        images with one are in it.

    Raises
    ------
    ConfigError
        If a finding has no codes.
    """
    import highdicom as hd

    made: list[Group] = []
    told = []
    for _, image in summary.answered(outcome):
        if image.analysis is not None:
            shared = _shared(image, image.analysis, outcome, drawn=kind == _DRAWN)
            if found := groups(image, shared):
                told.append((image, shared.reference))
                made += found
    if not told:
        return []
    references = [reference for _, reference in told]
    report = hd.sr.MeasurementReport(
        observation_context=equipment.observer(outcome.model_set),
        procedure_reported=_procedure(told[0][0].header),
        imaging_measurements=made,
        title=dicom_codes.DCM.ImagingMeasurementReport,
        language_of_content_item_and_descendants=hd.sr.LanguageOfContentItemAndDescendants(
            hd.sr.CodedConcept.from_code(_ENGLISH)
        ),
        referenced_images=[_library_entry(image) for image, _ in told],
    )
    _separate(report[0])
    if kind == _DRAWN:
        _without_numbers(report[0].ContentSequence)
    # highdicom copies and walks what it is handed several times over: most of the document follows afterwards
    measurements = report[0].ContentSequence.pop()
    content = hd.sr.Comprehensive3DSR(
        evidence=references,
        content=report[0],
        **placeholders(),
        is_complete=not summary.failed(outcome),
    )
    content.ContentSequence.append(measurements)
    if outcome.model_set.phantom:
        content.ContentSequence.append(_phantom())
    return [finish(content, kind, outcome, told[0][0].header, [r.SOPInstanceUID for r in references])]


def _phantom() -> hd.sr.TextContentItem:
    """What a phantom's document says of itself: the root of TID 1500 takes further items."""
    import highdicom as hd

    words = say("phantom_set", languages.ENGLISH)
    return hd.sr.TextContentItem(name=codes.PHANTOM_SET, value=words, relationship_type="CONTAINS")


def named(name: str, models: ModelSet) -> str:
    """Return a thing's name, which says so where the networks for phantoms made it."""
    return f"{PHANTOM_WORDS}: {name}" if models.phantom else name


def tracking(shared: Shared, thing: str, name: str) -> hd.sr.TrackingIdentifier:
    """Return the tracking identifier and UID of one thing on the image (TID 4108)."""
    import highdicom as hd

    return hd.sr.TrackingIdentifier(
        uid=tracking_uid(shared.reference.SOPInstanceUID, thing), identifier=named(name, shared.models)
    )


def finding_parts(finding: Finding, where: Place, shared: Shared) -> dict[str, Any]:
    """Return what a group says of a finding, with coordinates or without.

    Returns
    -------
    dict
        Arguments of highdicom's measurement groups: tracking, algorithm, finding, its site with laterality
        (of a finding that is present only where its region lies over it, `located.place`), the score of 100
        with its operating point as a property (NUM), and the call.
    """
    import highdicom as hd

    row = codes.finding(finding.label)
    score = hd.sr.Measurement(
        name=row.score_phantom if shared.models.phantom else row.score,
        value=0.0,
        unit=codes.OF_HUNDRED,
    )
    score_item(score[0], finding.score)
    score[0].ContentSequence = hd.sr.ContentSequence([shared.operating_point])
    named_site = where.site or not finding.present
    site = hd.sr.FindingSite(row.site, codes.LATERALITY[where.side] if where.side else None)
    return {
        "tracking_identifier": tracking(shared, finding.label, row.name),
        "algorithm_id": shared.algorithms["classifier"],
        "finding_type": finding_concept(row),
        "finding_sites": [site] if named_site else None,
        "measurements": [score],
        "qualitative_evaluations": [
            hd.sr.QualitativeEvaluation(name=codes.CALL, value=call(finding, shared.models))
        ],
    }


def _shared(image: ImageOutcome, analysis: Analysis, outcome: StudyOutcome, *, drawn: bool) -> Shared:

    models = outcome.model_set
    return Shared(
        reference=stand_in(image.header, outcome.study_instance_uid),
        analysis=analysis,
        models=models,
        algorithms={m.role: equipment.algorithm_in_report(models, m) for m in models.models},
        operating_point=_operating_point(drawn=drawn),
    )


def _operating_point(*, drawn: bool) -> hd.sr.NumContentItem | hd.sr.TextContentItem:
    import highdicom as hd

    point, below = OPERATING_POINT * 100, hd.sr.RelationshipTypeValues.HAS_PROPERTIES
    if drawn:
        return hd.sr.TextContentItem(codes.OPERATING_POINT, f"{point:g}/100", below)
    return hd.sr.NumContentItem(codes.OPERATING_POINT, point, codes.OF_HUNDRED, relationship_type=below)


def _without_numbers(items: list[Dataset]) -> None:
    """Take matrix and spacing out of the image library; the image has them (TID 1602 rows 11 and 12 are
    optional)."""
    for item in items:
        if item.ConceptNameCodeSequence[0].CodeValue == dicom_codes.DCM.ImageLibrary.value:
            for group in item.ContentSequence:
                for image in group.ContentSequence:
                    if "ContentSequence" in image:
                        image.ContentSequence = [c for c in image.ContentSequence if c.ValueType != "NUM"]


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
            [plain(side) for side in sides],
            list(spacing),
        )
    else:
        entry.Modality = "OT"
    return entry


def _procedure(header: Dataset) -> Code:
    """Return the imaging procedure that was done, from the source's Procedure Code Sequence (0008,1032) if
    it is complete there. (121058, DCM, Procedure reported) names the procedure, not the algorithm."""
    for item in items(header, "ProcedureCodeSequence"):
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
