"""All scores for programs, without a region (``sr-image``): the whole table, negatives too.

One group (TID 1501) for each finding on each image, not one for all: a group has one Finding, one Finding
Site and one Tracking Identifier, by which IHE AI Results expects each result to be followed, accepted or
rejected on its own. The document is one of its own, since OHIF cannot open a report with a group that has no
coordinates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom import Dataset

from xrv_node.report import summary
from xrv_node.report.located import place
from xrv_node.report.measurement_report import Shared, document, finding_parts
from xrv_node.values import DEFAULT_STYLE, ImageOutcome, StudyOutcome, Style

if TYPE_CHECKING:
    from xrv_node.report.measurement_report import Group


def build(outcome: StudyOutcome, style: Style = DEFAULT_STYLE) -> list[Dataset]:
    """Make the report of all findings of all images that were analysed.

    Parameters
    ----------
    outcome : StudyOutcome
        A study with at least one image.

    Returns
    -------
    list of Dataset
        One Comprehensive 3D SR (1.2.840.10008.5.1.4.1.1.88.34), TID 1500 with TID 1501 groups in the order of
        `summary.findings`; none where no image was analysed.

    Raises
    ------
    ConfigError
        If a finding has no codes.
    """
    return document("sr-image", outcome, _groups)


def _groups(image: ImageOutcome, shared: Shared) -> list[Group]:
    import highdicom as hd

    source = hd.sr.SourceImageForMeasurementGroup(
        shared.reference.SOPClassUID, shared.reference.SOPInstanceUID
    )
    return [
        hd.sr.MeasurementsAndQualitativeEvaluations(
            source_images=[source], **finding_parts(finding, place(image, finding), shared)
        )
        for finding in summary.findings(image)
    ]
