"""Masks of anatomical structures: the segmenter's as the node's worker makes them, figures as scikit-learn's."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
import untrained
import validate_cases
from scipy import stats
from sklearn import metrics
from typer.testing import CliRunner

from xrv_node.analyse.analyser import Analyser
from xrv_node.cli import app
from xrv_node.errors import DatasetError
from xrv_node.lab.datasets.load import load
from xrv_node.lab.statistics.evaluate import evaluate
from xrv_node.lab.validate import networks, page, published, score_dataset, structures
from xrv_node.lab.validate.about import about
from xrv_node.lab.validate.read_images import PreparedImages
from xrv_node.lab.validate.store_with_labels import labelled_scores
from xrv_node.lab.validate.validation import Validation
from xrv_node.values import AnalysisInput

NAMES = ("MCUCXR_0001_0.png", "MCUCXR_0002_1.png")
SIDES = {"left": "Left Lung", "right": "Right Lung"}
SQUARE = (slice(None), slice(64, 576))
"""What the networks see of 512 rows and 640 columns."""


@dataclass(frozen=True)
class Made:
    """Where a validation was made, and what it was made of."""

    place: Path
    workers: dict[str, np.ndarray]
    """By structure: the mask of the node's worker over `SQUARE`."""
    truth: dict[str, dict[str, np.ndarray]]
    """By image and side: the dataset's."""


@pytest.fixture(scope="module")
def made(tmp_path_factory, one_thread, built_once) -> Made:
    """Two images, one with the worker's own masks and one with a shifted one of one side."""
    place = tmp_path_factory.mktemp("montgomery")
    # the same picture twice: the segmenter takes seconds
    pictures = dict.fromkeys(NAMES, cv2.resize(validate_cases.picture(0, False), (640, 512)))
    cv2.imwrite(str(place / "picture.png"), pictures[NAMES[0]])
    analyser = Analyser(untrained.load_set("all", "chestx_det", "101-elastic", place))
    (analysis,) = analyser.analyse([AnalysisInput("1.2", place / "picture.png")])
    workers = dict(zip(analysis.structures, analysis.masks, strict=True))
    whole = {side: np.zeros((512, 640), bool) for side in SIDES}
    for side, structure in SIDES.items():
        whole[side][SQUARE] = workers[structure]
    truth = {NAMES[0]: whole, NAMES[1]: {"left": np.roll(whole["left"], (20, 30), (0, 1))}}
    validate_cases.montgomery(place / "set", pictures, truth)
    validated(place / "set", place / "out")
    return Made(place, workers, truth)


def validated(folder: Path, out: Path, *more: str) -> str:
    options = ("--segment", "--workers", "0", "--device", "cpu", "--batch", "2", *more)
    ran = CliRunner().invoke(
        app, ["validate", "nlm-tb", "--images", str(folder), "--out", str(out), *options]
    )
    assert ran.exit_code == 0, ran.output + str(ran.exception)
    return ran.stdout


def test_figures_of_each_image_are_those_of_scikit_learn_on_the_workers_masks(made: Made):
    expected = []
    for name in NAMES:
        ours = made.workers
        theirs = {SIDES[side]: mask[SQUARE] for side, mask in made.truth[name].items()}
        both = [one["Left Lung"] | one["Right Lung"] for one in (ours, theirs) if len(theirs) == 2]
        pairs = [(structure, mask, ours[structure]) for structure, mask in theirs.items()]
        for structure, mask, found in [*pairs, *([("Lungs", both[1], both[0])] if both else [])]:
            assert 0 < found.sum() < found.size
            figures = [
                figure(mask.ravel(), found.ravel()) for figure in (metrics.f1_score, metrics.jaccard_score)
            ]
            expected.append((f"MontgomerySet/CXR_png/{name}", structure, *figures))
    with (made.place / "out" / "structures.csv").open(newline="") as file:
        lines = [
            (row["image"], row["structure"], float(row["dice"]), float(row["iou"]))
            for row in csv.DictReader(file)
        ]
    assert len(lines) == 3 + 1
    assert sorted(line[:2] for line in lines) == sorted(line[:2] for line in expected)
    for line, other in zip(sorted(lines), sorted(expected), strict=True):
        # a pixel on the edge may change sides with the batch that it is computed in
        assert line[2:] == pytest.approx(other[2:], abs=2e-3)
    assert all((line[2] > 0.998) == line[0].endswith(NAMES[0]) for line in lines)


def test_a_dataset_is_validated_by_its_masks_alone(made: Made):
    told = json.loads((made.place / "out" / "metrics.json").read_text())
    assert told["evaluation"]["findings"] == []
    assert told["about"]["used"] == 2
    assert [name.partition(" ")[0] for name in told["about"]["networks"]] == [
        "densenet121-res224-all",
        "chestx_det",
    ]
    assert {one["structure"]: one["number"] for one in told["structures"]} == {
        "Left Lung": 2,
        "Right Lung": 1,
        "Lungs": 1,
    }
    with (made.place / "out" / "structures.csv").open(newline="") as file:
        left = [float(row["dice"]) for row in csv.DictReader(file) if row["structure"] == "Left Lung"]
    (one,) = [one for one in told["structures"] if one["structure"] == "Left Lung"]
    assert one["mean_dice"]["value"] == pytest.approx(np.mean(left), abs=1e-6)
    assert one["median_dice"]["value"] == pytest.approx(np.median(left), abs=1e-6)
    assert one["mean_dice"]["low"] is None  # of two patients
    assert {one["structure"] for one in told["published_structures"]} == {"Lungs", "Clavicles"}
    text = (made.place / "out" / "report.html").read_text()
    assert "Masks of anatomical structures" in text
    assert "All findings" not in text
    assert not (made.place / "out" / "baseline.npz").exists()


def test_a_second_run_segments_nothing_anew(made: Made, monkeypatch: pytest.MonkeyPatch):
    before = json.loads((made.place / "out" / "metrics.json").read_text())
    monkeypatch.setattr(networks, "segmented", None)  # a call would fail
    assert (
        json.loads(validated(made.place / "set", made.place / "out", "--json"))["structures"]
        == before["structures"]
    )


def test_a_dataset_without_masks_is_said(dataset: Path):
    with pytest.raises(DatasetError, match="nih has no masks of structures that the segmenter outlines"):
        structures.common(load("nih", dataset), ("Left Lung",))


def test_a_mask_that_cannot_be_read_leaves_its_image_out_with_the_reason(tmp_path: Path):
    mask = np.ones((64, 64), bool)
    pictures = {name: validate_cases.picture(0, False) for name in NAMES}
    folder = validate_cases.montgomery(tmp_path / "set", pictures, {name: {"left": mask} for name in NAMES})
    (folder / "MontgomerySet/ManualMask/leftMask" / NAMES[0]).write_bytes(b"no picture")
    images = PreparedImages(load("nlm-tb", folder), np.arange(2), (224,), "skimage", with_structures=True)
    assert images[0].why_not.startswith(f"The mask {NAMES[0]} of an image:")
    assert (images[1].why_not, images[1].regions) == ("", {})
    assert images[1].drawn["Left Lung"].shape == (256, 256)
    assert images[1].drawn["Left Lung"].all()


@pytest.mark.parametrize("xrv_compatible", [False, True])
def test_a_mask_of_another_size_is_brought_to_the_images_and_cut_to_the_square(
    xrv_compatible: bool, tmp_path: Path
):
    mask = np.zeros((64, 80), np.uint8)
    mask[16:32, :40] = 255
    pixels = cv2.resize(validate_cases.picture(0, False), (160, 128))
    image, lungs = (cv2.imencode(".png", one)[1].tobytes() for one in (pixels, mask))
    folder = validate_cases.covid(tmp_path / "set", {"a.png": ("PA", image)}, {"a.png": lungs})
    table = load("covid-19", folder, xrv_compatible=xrv_compatible)
    drawn = PreparedImages(table, np.arange(1), (512,), "skimage", with_structures=True)[0].drawn["Lungs"]
    expected = np.zeros((128, 160), bool)
    expected[32:64, 16:80] = True  # the square is 16 columns narrower on either side
    assert np.array_equal(drawn, expected)


def test_halves_are_joined_on_either_side_and_what_is_empty_on_both_is_no_figure():
    left, right, none = np.zeros((3, 4, 4), bool)
    left[:, :1], right[:, 2:] = True, True
    found = {"Left Lung": left, "Right Lung": right, "Heart": none, "Aorta": left}
    assert structures.compare(found, {"Lungs": left | right, "Heart": none}) == (
        structures.Agreement("Lungs", 1.0, 1.0),
    )
    assert structures.compare({"Lungs": left}, {"Left Lung": left, "Right Lung": right}) == (
        structures.Agreement("Lungs", 2 * 4 / (4 + 12), 4 / 12),
    )
    assert structures.compare(found, {"Heart": left}) == (structures.Agreement("Heart", 0.0, 0.0),)


def test_intervals_are_those_of_scipys_bootstrap_where_patients_have_one_image():
    values = np.random.default_rng(1).beta(8, 2, (60, 2))
    found = structures.figures("Lungs", values, np.arange(60))
    for column, mean, median in (
        (0, found.mean_dice, found.median_dice),
        (1, found.mean_iou, found.median_iou),
    ):
        for estimate, summary in ((mean, np.mean), (median, np.median)):
            expected = stats.bootstrap(
                (values[:, column],), summary, n_resamples=2000, method="percentile", random_state=1
            ).confidence_interval
            assert estimate.value == summary(values[:, column])
            assert (estimate.low, estimate.high) == pytest.approx(tuple(expected), abs=0.01)
    # ten images of each patient are no ten patients
    repeated = structures.figures("Lungs", np.repeat(values, 10, axis=0), np.repeat(np.arange(60), 10))
    assert repeated.mean_dice.low == pytest.approx(found.mean_dice.low, abs=0.01)


def test_the_page_has_the_published_figures_beside(made: Made):
    plan = score_dataset.Plan(
        "nlm-tb",
        made.place / "set",
        "all",
        segment=True,
        batch=2,
        workers=0,
        device="cpu",
    )
    scores = score_dataset.score(plan, made.place, made.place / "out")
    try:
        told = Validation(
            about(plan, scores, 2, datetime.now(UTC)),
            evaluate(labelled_scores(scores.table, (), scores.store, scores.rows)),
            None,
            structures=(structures.figures("Lungs", np.array([[0.9, 0.8]]), np.zeros(1, int)),),
            published_structures=published.published_structures("chestx_det"),
        )
    finally:
        scores.store.close()
    text = page.html(told)
    assert "<td>0.870</td><td>0.770</td>" in text
    assert "Clavicles, IoU 0.753 (torchxrayvision" in text
