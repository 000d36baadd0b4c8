"""Sides are named where nothing contradicts them, and not otherwise; what the gate says reaches the reader."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import dciodvfy
import numpy as np
import pytest
from pydicom import Dataset
from report_cases import STRUCTURES, analysis, disk, frontal, header, model_set, outcome

from xrv_node import report
from xrv_node.reasons import Reason
from xrv_node.report import codes, read_back, summary
from xrv_node.report.kinds.seg import SIDE_UNVERIFIED, build
from xrv_node.report.laterality import doubt, side
from xrv_node.values import ImageOutcome

N = 64
PAIRED = [name for name, row in codes.structures().items() if row.laterality]


def chest(*, mirrored: bool = False, heart: float = 0.57, without: tuple[str, ...] = ()) -> np.ndarray:
    """Masks as the network gives them on an image in the usual orientation: the left lung on the right."""
    where = {
        "Left Lung": 0.75,
        "Right Lung": 0.25,
        "Heart": heart,
        "Left Clavicle": 0.7,
        "Right Clavicle": 0.3,
    }
    masks = np.zeros((len(STRUCTURES), N, N), bool)
    for name, column in where.items():
        if name not in without:
            at = 1 - column if mirrored else column
            masks[STRUCTURES.index(name)] = disk(N, N * 0.5, N * at, N * 0.1)
    return masks


def judged(head: Dataset, masks: np.ndarray) -> Reason | None:
    return doubt(head, analysis(head, model_set(), {}, masks))


@pytest.mark.parametrize("orientation", [["L", "F"], ["LH", "F"], None, ["A", "F"], "", ["?", "F"]])
def test_the_usual_orientation_is_not_doubted(orientation: object) -> None:
    assert judged(header(PatientOrientation=orientation), chest()) is None


@pytest.mark.parametrize("orientation", [["R", "F"], ["RF", "FL"]])
def test_a_header_that_says_mirrored_is_believed(orientation: list[str]) -> None:
    said = judged(header(PatientOrientation=orientation), chest())
    assert said == Reason("sides-contradict-header")
    # and where the masks follow the patient, all agree
    assert judged(header(PatientOrientation=orientation), chest(mirrored=True)) is None


def test_a_heart_on_the_other_side_is_a_contradiction() -> None:
    """A mirrored image without a word in its header: the network names sides by where they lie."""
    for orientation in (None, ["L", "F"]):
        said = judged(header(PatientOrientation=orientation), chest(heart=0.43))
        assert said == Reason("sides-contradict-heart")


def test_a_heart_in_the_middle_says_nothing() -> None:
    assert judged(header(PatientOrientation=None), chest(heart=0.5)) is None
    assert judged(header(PatientOrientation=None), chest(without=("Heart",))) is None


def test_what_shows_no_two_lungs_is_left_alone() -> None:
    assert judged(header(PatientOrientation=["R", "F"]), chest(without=("Left Lung",))) is None
    assert judged(header(PatientOrientation=["R", "F"]), np.zeros((len(STRUCTURES), N, N), bool)) is None


def square(column: float, width: float) -> tuple[tuple[float, float], ...]:
    """A square around the middle row, in parts of the image's side."""
    left, right = 96 * (column - width / 2), 96 * (column + width / 2)
    top, bottom = 12 + 96 * (0.5 - width / 2), 12 + 96 * (0.5 + width / 2)  # 120 rows, 96 columns
    return ((left, top), (right, top), (right, bottom), (left, bottom), (left, top))


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        (square(0.75, 0.1), "Left"),
        (square(0.25, 0.1), "Right"),
        (square(0.25, 0.24), "Right"),  # most of the lung, and some beside it
        (square(0.5, 0.7), None),  # both
        (square(0.5, 0.1), None),  # neither
        (square(0.12, 0.2), None),  # little of it over a lung
    ],
)
def test_a_region_is_of_the_side_whose_lung_it_lies_over(
    region: tuple[tuple[float, float], ...], expected: str | None
) -> None:
    made = analysis(header(), model_set(), {}, chest())
    assert side(made, region) == expected


def test_a_region_has_no_side_without_both_lungs() -> None:
    region = square(0.25, 0.1)
    assert side(analysis(header(), model_set(), {}, chest(without=("Left Lung",))), region) is None
    few = dataclasses.replace(analysis(header(), model_set(), {}, chest()), structures=(), masks=chest()[:0])
    assert side(few, region) is None


@pytest.mark.parametrize(("orientation", "sure"), [(["L", "F"], True), (["R", "F"], False)])
def test_a_doubtful_side_is_in_no_code(orientation: list[str], sure: bool, tmp_path: Path) -> None:
    head = header(PatientOrientation=orientation)
    (made,) = build(outcome(frontal(head, seg=chest())))
    paired = 0
    for segment in made.SegmentSequence:
        kind = segment.SegmentedPropertyTypeCodeSequence[0]
        name = segment.SegmentLabel.removeprefix(f"{SIDE_UNVERIFIED}: ")
        assert kind.CodeValue == codes.structure(name).code.value
        if name in PAIRED:
            paired += 1
            assert ("SegmentedPropertyTypeModifierCodeSequence" in kind) == sure
            assert segment.SegmentLabel.startswith(SIDE_UNVERIFIED) != sure
            assert len(segment.SegmentLabel) <= 64
    assert paired == 4
    _, names, masks = read_back.masks(made)
    assert set(names) == {"Left Lung", "Right Lung", "Heart", "Left Clavicle", "Right Clavicle"}
    left, right = (
        masks[names.index(f"{side} Lung")].any(axis=0).nonzero()[0].mean() for side in ("Left", "Right")
    )
    assert left > right
    path = tmp_path / "seg.dcm"
    path.write_bytes(report.to_bytes(made))
    assert dciodvfy.errors(path) == []


def texts(dataset: Dataset) -> list[tuple[str, str]]:
    return [
        (item.ConceptNameCodeSequence[0].CodeValue, item.TextValue)
        for item in read_back._below(dataset)
        if item.ValueType == "TEXT"
    ]


def unusual(**changes: object) -> ImageOutcome:
    image = frontal(header(PatientOrientation=["R", "F"]), seg=chest())
    assert image.analysis is not None
    return dataclasses.replace(image, analysis=dataclasses.replace(image.analysis, **changes))


def test_what_is_unusual_stands_with_the_image_and_in_the_headline(tmp_path: Path) -> None:
    whole = outcome(unusual(quality=(Reason("one-lung"),)))
    (made,) = report.build(whole, ["report"])
    said = [value for code, value in texts(made.dataset) if code == codes.QUALITY.value]
    assert said[0] == "The anatomy network found one lung only."
    assert "Patient Orientation" in said[1]
    assert "unusual images: 1 of 1" in summary.headline(whole)
    ssim = [i for i in read_back._below(made.dataset) if read_back._name(i) == codes.SIMILARITY.value]
    assert float(ssim[0].MeasuredValueSequence[0].NumericValue) == 0.8125
    path = tmp_path / "report.dcm"
    path.write_bytes(report.to_bytes(made.dataset))
    assert dciodvfy.errors(path) == []


def test_a_usual_image_has_no_caution() -> None:
    whole = outcome(frontal(header(), seg=chest()))
    (made,) = report.build(whole, ["report"])
    assert codes.QUALITY.value not in [code for code, _ in texts(made.dataset)]
    assert "unusual" not in summary.headline(whole)


def test_what_the_gate_refused_has_no_findings_in_any_object() -> None:
    why = Reason("unlike-by-error", error="30", share="99", most="20")
    image = dataclasses.replace(unusual(refused=why, quality=(why,)), error=why)
    whole = outcome(image)
    made = {result.kind: result.dataset for result in report.build(whole, ["report", "sr", "seg"])}
    assert set(made) == {"report"}
    assert read_back.findings(made["report"]) == {}
    assert read_back.headline(made["report"]) == (
        "AI: no result, the image is unlike those that the node is set up for. Not for diagnosis."
    )
    assert any(f"no findings reported: {why}" in value for _, value in texts(made["report"]))
    assert made["report"].CompletionFlag == "PARTIAL"


def test_an_image_that_was_refused_does_not_hide_one_that_was_not() -> None:
    why = Reason("unlike-by-error", error="30", share="99", most="20")
    refused = dataclasses.replace(unusual(refused=why), error=why)
    whole = outcome(refused, frontal(header(number=2), seg=chest()))
    (made,) = report.build(whole, ["report"])
    assert len(read_back.findings(made.dataset)) == 1
    assert "1 of 2 images could not be analysed" in summary.headline(whole)
