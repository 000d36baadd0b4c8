"""The report for people as Encapsulated PDF, for archives and viewers that show no Structured Reports."""

from __future__ import annotations

from pydicom import Dataset

from xrv_node.attributes import text
from xrv_node.report import phrases, summary
from xrv_node.report.envelope import finish, stand_ins
from xrv_node.report.kinds.report import TITLE
from xrv_node.values import DEFAULT_STYLE, StudyOutcome, Style

_ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"


def build(outcome: StudyOutcome, style: Style = DEFAULT_STYLE) -> list[Dataset]:
    """Make the report of a study as a PDF (PS3.3 A.45.1).

    Parameters
    ----------
    outcome : StudyOutcome
        A study with at least one image; none of them need have been analysed.
    style : Style
        Its language is that of the pages.

    Returns
    -------
    list of Dataset
        One Encapsulated PDF (1.2.840.10008.5.1.4.1.1.104.1) that says what the ``report`` says, with the
        radiographs.

    Raises
    ------
    ConfigError
        If a finding has no codes.
    """
    from xrv_node.report.pdf_pages import render

    made = Dataset()
    made.SOPClassUID, made.Modality = _ENCAPSULATED_PDF, "DOC"
    made.ConversionType = "WSD"  # from a workstation (C.8.6.1); type 1, and no term is nearer
    made.AcquisitionDateTime = ""  # type 2; the images have theirs
    made.BurnedInAnnotation = "YES"  # whose report it is stands on it
    made.RecognizableVisualFeatures = "NO"
    made.VerificationFlag = "UNVERIFIED"
    made.DocumentTitle = phrases.say("title", style.language)
    concept = Dataset()
    concept.CodeValue, concept.CodingSchemeDesignator = TITLE.value, TITLE.scheme_designator
    concept.CodeMeaning = phrases.meaning(TITLE, style.language)
    made.ConceptNameCodeSequence = [concept]
    images = stand_ins(outcome)
    made.SourceInstanceSequence = [_reference(image) for image in images]
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    document = render(outcome, style.language)
    made.EncapsulatedDocumentLength = len(document)
    made.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    made.StudyInstanceUID = outcome.study_instance_uid
    sources = [text(image, "SOPInstanceUID") for image in images]
    return [finish(made, "pdf", outcome, summary.first(outcome).header, sources, style.language)]


def _reference(image: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return item
