"""What header and masks tell of an image: one flag for one thing, and none for a usual image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import report_cases as cases

from xrv_node.reasons import Reason
from xrv_node.report import quality, summary
from xrv_node.values import ImageOutcome

N = 64


def masks(**where: tuple[slice, slice]) -> np.ndarray:
    """A chest of rectangles; a change moves a part, by its name with underscores."""
    parts = {
        "Left_Lung": np.s_[16:48, 36:56],
        "Right_Lung": np.s_[16:48, 8:28],
        "Left_Clavicle": np.s_[12:15, 36:52],
        "Right_Clavicle": np.s_[12:15, 12:28],
        "Spine": np.s_[4:60, 30:34],
    } | where
    made = np.zeros((len(cases.STRUCTURES), N, N), bool)
    for name, place in parts.items():
        made[cases.STRUCTURES.index(name.replace("_", " "))][place] = True
    return made


def image(seg: np.ndarray | None = None, **header: Any) -> ImageOutcome:
    return cases.frontal(cases.header(**header), seg=masks() if seg is None else seg)


@pytest.mark.parametrize(
    "orientation", [["L", "F"], ["R", "F"], ["LH", "FR"], ["A", "F"], ["L", ""], "L", "", None, ["?", "!"]]
)
def test_a_usual_image_has_no_flag(orientation: Any) -> None:
    assert quality.flags(image(PatientOrientation=orientation)) == ()


FLAGGED: dict[str, tuple[dict[str, Any], str]] = {
    "seventeen": ({"PatientAge": "017Y"}, "younger than 18"),
    "newborn": ({"PatientAge": "003D"}, "younger than 18"),
    "by birth date": ({"PatientAge": None, "PatientBirthDate": "20200101"}, "younger than 18"),
    "no age": ({"PatientAge": None, "PatientBirthDate": None}, "does not tell the patient's age"),
    "upside down": ({"PatientOrientation": ["R", "H"]}, "upside down"),
    "on its side": ({"PatientOrientation": ["F", "L"]}, "on its side"),
    "lung over the left edge": (
        {"seg": masks(Right_Lung=np.s_[16:48, 0:28])},
        "edge of what the networks saw",
    ),
    "lung over the lower edge": ({"seg": masks(Left_Lung=np.s_[30:64, 36:56])}, "edge of what"),
    "lungs one above the other": (
        {"seg": masks(Left_Lung=np.s_[4:28, 20:44], Right_Lung=np.s_[34:58, 18:42])},
        "tilted by 86 degrees",
    ),
    "spine to the right": ({"seg": masks(Spine=np.s_[4:60, 26:30])}, "the patient is rotated"),
    "spine to the left": ({"seg": masks(Spine=np.s_[4:60, 34:38])}, "the patient is rotated"),
    "spine beside both": ({"seg": masks(Spine=np.s_[4:60, 22:26])}, "the patient is rotated"),
}


@pytest.mark.parametrize("case", FLAGGED)
def test_one_thing_gives_one_flag(case: str) -> None:
    changes, words = FLAGGED[case]
    (said,) = quality.flags(image(**changes))
    assert words in str(said)


@pytest.mark.parametrize(
    "where",
    [
        {"Spine": np.s_[4:60, 31:35]},  # a little off the middle
        {"Spine": np.s_[30:60, 22:26]},  # not beside the clavicles
        {"Left_Clavicle": np.s_[12:15, 30:52], "Right_Clavicle": np.s_[12:15, 12:34]},  # ends that overlap
        {"Left_Clavicle": np.s_[0:0, 0:0]},
        {"Left_Lung": np.s_[22:54, 36:56]},  # a lung somewhat lower
        {"Right_Lung": np.s_[63:64, 8:9]},  # a speck at the edge
    ],
    ids=str,
)
def test_what_may_be_chance_is_not_flagged(where: dict[str, tuple[slice, slice]]) -> None:
    said = quality.flags(image(masks(**where)))
    never = {"quality-rotated", "quality-lung-cut-off"} | (
        {"quality-tilted"} if "Left_Lung" in where else set()
    )
    assert [reason for reason in said if reason.key in never] == []


def test_flags_stand_with_the_gate_s_in_the_reader_s_language() -> None:
    shown = image(PatientAge="007Y")
    assert shown.analysis is not None
    judged = replace(shown, analysis=replace(shown.analysis, quality=(Reason("one-lung"),)))
    assert summary.quality(judged, "de") == (
        "Das Anatomienetz hat nur eine Lunge gefunden.",
        "Der Patient ist jünger als 18 Jahre; die Netze wurden mit Erwachsenen trainiert.",
    )
    assert "Caution, unusual images: 1 of 1" in summary.headline(cases.outcome(judged))
    assert quality.flags(replace(shown, analysis=None)) == ()
