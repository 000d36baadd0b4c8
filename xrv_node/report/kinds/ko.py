"""Which images to look at: a Key Object Selection of those with a finding at or over its operating point.

It points at the source images alone. A picture of them (``sc``) may not have been sent to the same
destination, and a reference to an object that an archive does not have is an error there.
"""

from __future__ import annotations

from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes

from xrv_node.report import equipment, summary
from xrv_node.report.envelope import finish, placeholders, stand_in
from xrv_node.report.phrases import named, say
from xrv_node.values import DEFAULT_STYLE, StudyOutcome, Style


def build(outcome: StudyOutcome, style: Style = DEFAULT_STYLE) -> list[Dataset]:
    """Make the selection of a study's images with findings.

    Parameters
    ----------
    outcome : StudyOutcome
        A closed study.
    style : Style
        Its language is the description's.

    Returns
    -------
    list of Dataset
        One Key Object Selection Document (1.2.840.10008.5.1.4.1.1.88.59, TID 2010) with the title (113000,
        DCM, Of Interest) of CID 7010; none where no image has a finding.
    """
    import highdicom as hd

    chosen = [
        image for _, image in summary.answered(outcome) if any(f.present for f in summary.findings(image))
    ]
    if not chosen:
        return []
    images = []
    for image in chosen:
        reference = stand_in(image.header, outcome.study_instance_uid)
        # highdicom refers to what has a matrix as to an image
        reference.Rows = reference.Columns = 1
        images.append(reference)
    content = hd.ko.KeyObjectSelection(
        document_title=dicom_codes.DCM.OfInterest,
        referenced_objects=images,
        observer_device_context=equipment.device_observer(outcome.model_set),
        description=_description(outcome, style.language),
    )
    made = hd.ko.KeyObjectSelectionDocument(
        evidence=images,
        content=content,
        **placeholders(),
    )
    made.ContinuityOfContent = "SEPARATE"  # CONTINUOUS, highdicom's own, runs values together
    sources = [image.SOPInstanceUID for image in images]
    return [finish(made, "ko", outcome, chosen[0].header, sources, style.language)]


def _description(outcome: StudyOutcome, language: str) -> str:
    """Return the document's text: what was found on the images, and what to make of it."""
    present = [finding for _, finding in summary.strongest(outcome) if finding.present]
    found = say(
        "key_images", language, findings=", ".join(named("finding", f.label, language) for f in present)
    )
    warning = [say("phantom_set", language)] if outcome.model_set.phantom else []
    return " ".join([*warning, found, say("notice", language)])
