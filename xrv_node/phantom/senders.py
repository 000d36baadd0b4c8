"""Habits of those who send radiographs: headers that say the same in other words, or leave it out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset


@dataclass(frozen=True, slots=True)
class Sender:
    """What one kind of sender does to the header that is by the book."""

    why: str
    leaves_out: tuple[str, ...] = ()
    says: dict[str, Any] = field(default_factory=dict)
    describes: dict[str, str] = field(default_factory=dict)
    """Series Description by view."""
    signed: bool = False
    """Stored values are signed, and a rescale makes them what they were."""
    private: bool = False


SENDERS: dict[str, Sender] = {
    "plain": Sender("by the book"),
    "bare": Sender(
        "an old reader of imaging plates: only the description tells the view",
        leaves_out=(
            "ViewPosition",
            "ViewCodeSequence",
            "AnatomicRegionSequence",
            "PixelSpacing",
            "ImagerPixelSpacing",
            "RescaleIntercept",
            "RescaleSlope",
            "RescaleType",
            "LossyImageCompression",
            "ImageComments",
            "KVP",
            "DistanceSourceToDetector",
        ),
        says={"PatientOrientation": "", "BodyPartExamined": "CHEST"},
        describes={"PA": "THORAX PA", "AP": "THORAX AP LIEGEND", "LATERAL": "THORAX LATERAL"},
    ),
    "wordy": Sender(
        "more windows than one, protocols in words, private elements",
        says={
            "WindowCenterWidthExplanation": ["NORMAL", "HARDER"],
            "ProtocolName": "Chest adult",
            "AcquisitionDeviceProcessingDescription": "CHEST, standard contrast",
            "PerformedProcedureStepDescription": "XR CHEST",
            "OperatorsName": "MTRA^Eins",
        },
        private=True,
    ),
    "signed": Sender("signed pixels with an intercept", signed=True, says={"PixelRepresentation": 1}),
    "unicode": Sender(
        "a name in more than one script, padded identifiers",
        says={
            "SpecificCharacterSet": "ISO_IR 192",
            "PatientName": "PHANTOM^Zoë Ångström=幻影^甲=ファントム^イチ",
            "InstitutionName": "Keine: Prüfkörper ",
            "StationName": "RÖNTGEN-1 ",
        },
    ),
}
"""By the name that ``phantom make --sender`` takes."""


def follow(
    ds: Dataset, values: NDArray[np.uint16], sender: str, view: str
) -> NDArray[np.uint16] | NDArray[np.int16]:
    """Change a header by the book as a sender would, in place, and return its stored values.

    Parameters
    ----------
    ds
        Complete but for the pixels.
    values
        ``[rows, columns]``: unsigned stored values of ``ds.BitsStored`` bits.
    sender
        A key of `SENDERS`.
    view
        ``PA``, ``AP`` or ``LATERAL``.
    """
    habit = SENDERS[sender]
    for keyword in habit.leaves_out:
        if keyword in ds:
            delattr(ds, keyword)
    for keyword, value in habit.says.items():
        setattr(ds, keyword, value)
    if habit.describes:
        ds.SeriesDescription = habit.describes[view]
    if "WindowCenterWidthExplanation" in habit.says:
        if "WindowCenter" in ds:
            ds.WindowCenter = [ds.WindowCenter, ds.WindowCenter]
            ds.WindowWidth = [ds.WindowWidth, round(float(ds.WindowWidth) * 0.8)]
        else:
            del ds.WindowCenterWidthExplanation
    if habit.private:
        block = ds.private_block(0x0019, "PHANTOM PRIVATE 1", create=True)
        block.add_new(0x01, "LO", "exposure class 400")
        block.add_new(0x02, "OB", bytes(64))
    return _signed(ds, values) if habit.signed else values


def _signed(ds: Dataset, values: NDArray[np.uint16]) -> NDArray[np.int16]:
    """Shift stored values below zero by half their range; the rescale shifts them back (PS3.3 C.11.1)."""
    half = 2 ** (ds.BitsStored - 1)
    ds.RescaleIntercept = half
    shifted: NDArray[np.int16] = (values.astype(np.int32) - half).astype(np.int16)
    return shifted
