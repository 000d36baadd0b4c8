"""The overlay as a colour Secondary Capture: the one carrier of a picture that every viewer shows."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes

from xrv_node.report import summary
from xrv_node.report.envelope import finish, stand_in
from xrv_node.report.equipment import code_item
from xrv_node.report.located import settled
from xrv_node.report.overlay import overlay
from xrv_node.values import DEFAULT_STYLE, ImageOutcome, StudyOutcome, Style

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def build(outcome: StudyOutcome, style: Style = DEFAULT_STYLE) -> list[Dataset]:
    """Make the picture of each image that the networks have answered.

    Parameters
    ----------
    outcome : StudyOutcome
        A closed study.
    style : Style
        Its language is the picture's.

    Returns
    -------
    list of Dataset
        Secondary Captures (1.2.840.10008.5.1.4.1.1.7), RGB, single-frame: viewers show nothing of a
        Multi-frame True Color one that they do not show of this. None for an analysis without a picture.

    Raises
    ------
    ConfigError
        If a finding or structure has no codes.
    """
    made = (_capture(image, outcome, style) for _, image in summary.answered(outcome))
    return [dataset for dataset in made if dataset is not None]


def _capture(image: ImageOutcome, outcome: StudyOutcome, style: Style) -> Dataset | None:
    analysis = settled(image).analysis
    if analysis is None:
        return None
    drawn = overlay(analysis, summary.quality(image, style.language), style)
    if drawn is None:
        return None
    source = stand_in(image.header, outcome.study_instance_uid)
    made = Dataset()
    made.SOPClassUID, made.StudyInstanceUID = _SECONDARY_CAPTURE, outcome.study_instance_uid
    made.Modality, made.ConversionType, made.BodyPartExamined = "OT", "WSD", "CHEST"
    made.ImageType = ["DERIVED", "SECONDARY"]
    # Several tiles and a panel have no one orientation; type 2C, so it is there and empty.
    made.PatientOrientation = ""
    made.BurnedInAnnotation = "YES"
    made.DerivationDescription = "AI overlay, not for diagnosis: class activation maps, regions and anatomy"
    reference = Dataset()
    reference.ReferencedSOPClassUID = source.SOPClassUID
    reference.ReferencedSOPInstanceUID = source.SOPInstanceUID
    reference.PurposeOfReferenceCodeSequence = [
        code_item(dicom_codes.DCM.SourceImageForImageProcessingOperation)  # CID 7202
    ]
    reference.SpatialLocationsPreserved = "NO"
    made.SourceImageSequence = [reference]
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if keyword in source:
            made[keyword] = source[keyword]
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "RGB", 0
    made.Rows, made.Columns = drawn.shape[:2]
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    data = drawn.tobytes()
    made.PixelData = data + b"\0" * (len(data) % 2)
    made["PixelData"].VR = "OB"
    return finish(made, "sc", outcome, image.header, [source.SOPInstanceUID], style.language)
