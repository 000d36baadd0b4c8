"""What is amiss in an answer: beside the truth, beside the baseline, and in what it ran on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xrv_node.acceptance.expected import ExpectedImage
from xrv_node.constancy.answer import Answer
from xrv_node.constancy.compare import beside_baseline, beside_truth, changed

SIZE = 256
MACHINE = {"torch": "2.7.1", "device": "cuda:0: H200", "driver": "NVIDIA 570.1"}


def masks(shift: int = 0) -> dict[str, np.ndarray]:
    rows, columns = np.mgrid[:SIZE, :SIZE] - shift
    places = {"Left Lung": (120, 180, 80, 40), "Right Lung": (120, 75, 85, 42), "Heart": (160, 135, 35, 38)}
    return {n: ((rows - r) / h) ** 2 + ((columns - c) / w) ** 2 < 1 for n, (r, c, h, w) in places.items()}


IMAGE = ExpectedImage(
    instance="1.2",
    study="1.1",
    patient_id="P",
    patient_name="PHANTOM",
    rows=SIZE,
    columns=SIZE,
    path=Path("1.dcm"),
    answered=True,
    findings={"Effusion": True, "Pneumothorax": False, "Mass": False, "Nodule": False},
    masks=masks(),
)
RIGHT = Answer("ab", {"Effusion": 0.9, "Pneumothorax": 0.1, "Mass": 0.2, "Nodule": 0.1}, masks())


def keys(reasons) -> list[str]:
    return [reason.key for reason in reasons]


def scored(**scores: float) -> Answer:
    return replace(RIGHT, scores=RIGHT.scores | scores)


def test_what_is_right_is_let_be() -> None:
    assert keys(beside_truth(RIGHT, IMAGE)) == []


@pytest.mark.parametrize(("label", "score"), [("Effusion", 0.4), ("Pneumothorax", 0.6)])
def test_what_is_drawn_and_what_is_grave_must_be_right(label: str, score: float) -> None:
    (why,) = beside_truth(scored(**{label: score}), IMAGE)
    assert (why.key, why.values["findings"]) == ("constancy-findings", label)


def test_one_other_finding_may_be_wrong_and_two_may_not() -> None:
    assert keys(beside_truth(scored(Mass=0.7), IMAGE)) == []
    (why,) = beside_truth(scored(Mass=0.7, Nodule=0.7), IMAGE)
    assert why.values["findings"] == "Mass, Nodule"


def test_what_is_drawn_and_not_scored_is_wrong() -> None:
    fewer = replace(RIGHT, scores={"Mass": 0.1})
    assert keys(beside_truth(fewer, IMAGE)) == ["constancy-findings"]


def test_a_grave_finding_without_a_score_is_not_right() -> None:
    fewer = {name: score for name, score in RIGHT.scores.items() if name != "Pneumothorax"}
    assert keys(beside_truth(replace(RIGHT, scores=fewer), IMAGE)) == ["constancy-findings"]
    assert keys(beside_truth(scored(Pneumothorax=float("nan")), IMAGE)) == ["constancy-findings"]


def test_masks_that_are_gone_or_shifted_are_told() -> None:
    assert keys(beside_truth(replace(RIGHT, masks={}), IMAGE)) == ["constancy-mask"] * 3
    assert "constancy-place" in keys(beside_truth(replace(RIGHT, masks=masks(5)), IMAGE))


def test_an_answer_is_the_same_within_a_hundredth() -> None:
    assert keys(beside_baseline(scored(Mass=0.209), RIGHT)) == []
    (why,) = beside_baseline(scored(Mass=0.211), RIGHT)
    assert (why.key, why.values["finding"]) == ("constancy-score", "Mass")
    assert keys(beside_baseline(scored(Mass=float("nan")), RIGHT)) == ["constancy-score"]
    assert keys(beside_baseline(scored(Hernia=0.1), RIGHT)) == ["constancy-score"]


def test_a_mask_is_the_same_from_a_dice_of_99_hundredths() -> None:
    assert keys(beside_baseline(replace(RIGHT, masks=masks()), RIGHT)) == []
    assert keys(beside_baseline(replace(RIGHT, masks=masks(2)), RIGHT)) == ["constancy-mask"] * 3
    without = {name: mask for name, mask in masks().items() if name != "Heart"}
    (why,) = beside_baseline(replace(RIGHT, masks=without), RIGHT)
    assert why.values["structure"] == "Heart"


@pytest.mark.parametrize("what", MACHINE)
def test_another_driver_library_or_device_is_told_whatever_is_answered(what: str) -> None:
    (why,) = changed(MACHINE | {what: "other"}, MACHINE)
    assert dict(why.values) == {"what": what, "now": "other", "before": MACHINE[what]}
    (gone,) = changed({name: value for name, value in MACHINE.items() if name != what}, MACHINE)
    assert gone.values["now"] == "-"
    assert keys(changed(MACHINE, MACHINE)) == []
