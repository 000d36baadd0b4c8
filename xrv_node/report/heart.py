"""What the cardiothoracic ratio says beside the classifier's cardiomegaly, with the reference that it has."""

from __future__ import annotations

import re

from pydicom import Dataset

from xrv_node.attributes import fold, text
from xrv_node.report import codes
from xrv_node.report.measurements import Measure, measure
from xrv_node.report.phrases import say
from xrv_node.report.wording import decimal
from xrv_node.values import ImageOutcome

LABEL = "Cardiomegaly"
_LYING = re.compile(r"\b(SUPINE|SUPIN[OA]|LIEGEND\w*|COUCHEE?S?|DECUBITUS DORSAL)\b")
_TOLD_BY = (
    "ViewPosition",
    "SeriesDescription",
    "StudyDescription",
    "ProtocolName",
    "PerformedProcedureStepDescription",
    "AcquisitionDeviceProcessingDescription",
)


def ratio(image: ImageOutcome) -> Measure | None:
    """Return the cardiothoracic ratio of an image; None where it was not measured."""
    return next((m for m in measure(image) if m.key == "CTR"), None)


def short(image: ImageOutcome, language: str) -> str | None:
    """Return the ratio in a few words, for the headline."""
    found = ratio(image)
    return None if found is None else say("ratio_short", language, ratio=_number(found.value, language))


def sentences(image: ImageOutcome, language: str) -> list[str]:
    """Say the ratio, what it is to be compared with, and whether it contradicts the classifier.

    Returns
    -------
    list of str
        Empty where the ratio was not measured. The reference (``measurements.toml``) holds for a
        postero-anterior view of a patient who stands; of any other it is said that it does not.
    """
    found = ratio(image)
    reference = codes.measurement("CTR").reference
    if found is None or reference is None:
        return []
    over = round(found.value, 2) > reference  # as it is read
    key = _key(image, over=over)
    numbers = {"ratio": _number(found.value, language), "reference": _number(reference, language)}
    said = [say(key, language, **numbers)]
    called = {f.label: f.present for f in image.analysis.findings} if image.analysis else {}
    if key in ("ratio_within", "ratio_over") and LABEL in called and called[LABEL] != over:
        said.append(say("ratio_against_present" if called[LABEL] else "ratio_against_absent", language))
    return said


def _key(image: ImageOutcome, *, over: bool) -> str:
    if lying(image.header):
        return "ratio_lying"
    if image.decision.view == "PA":
        return "ratio_over" if over else "ratio_within"
    return "ratio_ap" if image.decision.view == "AP" else "ratio_view"


def lying(header: Dataset) -> bool:
    """Whether the header says that the patient lies on his back."""
    return any(_LYING.search(fold(text(header, keyword))) for keyword in _TOLD_BY)


def _number(value: float, language: str) -> str:
    return decimal(f"{value:.2f}", language)
