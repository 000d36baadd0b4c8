"""A validation through a node whose segmentations come back: what it counts, compares and writes."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import validate_cases
from ports import free_port
from pydicom import Dataset
from segmentation_cases import (
    AREAS,
    LABELMAP,
    SEGMENTER,
    SQUARE,
    cut,
    masks,
    prepared,
    whole,
)
from validate_node import node, results, told_by_a_running_node

from xrv_node.lab.datasets.load import load
from xrv_node.lab.validate import networks, page, returned_masks, run, score_dataset, through_node
from xrv_node.lab.validate.result_receiver import listen
from xrv_node.lab.validate.run_store import ReturnedSegmentation, RunStore
from xrv_node.lab.validate.validation import Validation
from xrv_node.radiograph.prepare import frame
from xrv_node.values import DEFAULT_STYLE, Style


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(through_node, "GRACE", 0.2)


def test_several_segmentations_count_once_and_strangers_not_at_all(dataset: Path, tmp_path: Path):
    square = frame(256, 256)
    store = RunStore(tmp_path / "through-node.sqlite", {})
    rows = {through_node._uid(store.salt, "instance", row): row for row in range(4)}

    def seg(image: Dataset, shift: int = 0) -> Dataset:
        stack = np.stack(list(masks(shift).values()))
        (made,) = results(
            deepcopy(image), {}, kinds=["seg"], structures=tuple(AREAS), masks=stack, frame=square
        )
        return made

    def damaged(image: Dataset) -> Dataset:
        made = seg(image)
        cut(made)
        return made

    def answer(image: Dataset) -> list[Dataset]:
        stranger = deepcopy(image)
        stranger.SOPInstanceUID = "2.25.1"
        sent = {
            0: [seg(image), seg(image, 25)],  # the first is right
            1: [damaged(image), seg(image)],
            2: [seg(stranger)],
            3: [damaged(image)],
        }
        return [*results(deepcopy(image), {"Mass": 0.5}, kinds=["report"]), *sent[rows[image.SOPInstanceUID]]]

    def compare(made: Dataset, row: int) -> ReturnedSegmentation:
        return replace(returned_masks.compared(made, prepared(square), SEGMENTER), row=row)

    table = load("nih", dataset, views=("*",), unique_patients=False)
    with listen(through_node.CALLING_AE, "127.0.0.1", 0) as back, node(back.port, answer) as (peer, _):
        way = through_node.Way(peer, 60)
        through_node.run(table, np.arange(4), ("Mass",), store, way, back, compare=compare)
    found = {one.row: one for one in store.returned()}
    assert store.done(answered=True).tolist() == [0, 1, 2, 3]
    assert store.without_segmentation()
    store.close()
    assert list(found) == [0, 1, 3]
    assert {one.dice for row in (0, 1) for one in found[row].overlaps} == {1.0}
    assert found[3] == ReturnedSegmentation(3, returned_masks.NOT_READ)


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels.astype(np.uint8) * 255)[1].tobytes()


@pytest.fixture
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four pictures of which the segmenter's answer is known; the first three have masks, two of them shifted."""
    load_model = networks.get_model
    monkeypatch.setattr(
        networks,
        "get_model",
        lambda name, *a, **k: SEGMENTER if name == "chestx_det" else load_model(name, *a, **k),
    )
    lungs = {shift: png(whole(masks(shift)["Left Lung"] | masks(shift)["Right Lung"])) for shift in (0, 10)}
    return validate_cases.covid(
        tmp_path / "covid",
        {f"{number}.png": ("PA", lungs[0]) for number in range(4)},
        {f"{number}.png": lungs[shift] for number, shift in enumerate((0, 10, 10))},
    )


def sent(
    folder: Path, out: Path, shifts: Sequence[int | None], style: Style = DEFAULT_STYLE, own_port: int = 0
) -> tuple[Validation, list[Path], list[Dataset]]:
    """Validate through a node that shifts its masks so many columns, and sends none for None."""
    port = free_port()

    def answer(image: Dataset) -> list[Dataset]:
        shift = shifts[int(image.PatientID.rpartition(":")[2])]
        kinds = ["report"] if shift is None else ["report", "seg"]
        stack = np.stack(list(masks(shift or 0).values()))
        return results(
            image, {"Pneumonia": 0.5}, style, kinds, structures=tuple(AREAS), masks=stack, frame=SQUARE
        )

    plan = score_dataset.Plan("covid-19", folder, "all", segment=True, workers=0, device="cpu")
    with node(port, answer, own_port) as (peer, received):
        told, written = run.validate(
            plan,
            out,
            out,
            lambda _words: nullcontext(lambda _done, _of: None),
            way=through_node.Way(peer, 60, "127.0.0.1", port),
        )
    return told, written, received


def test_a_validation_through_a_node_says_what_a_ruler_says(collection: Path, tmp_path: Path):
    port = free_port()
    told, written, received = sent(collection, tmp_path / "out", (0, 0, 25, 0), own_port=port)
    assert len(received) == 4
    assert told.through_node is not None
    found = told.through_node.masks
    assert found is not None
    assert (found.compared, found.missing, found.not_compared, found.label_maps) == (4, 0, {}, 0)
    # direct: the same, 90 of 100 columns, 90; back: the same, 90, 85
    (direct,) = told.structures
    (back,) = found.structures
    (beside,) = found.direct
    assert (direct.structure, direct.number, back.number) == ("Lungs", 3, 3)
    assert direct.mean_dice.value == beside.mean_dice.value == pytest.approx((1 + 0.9 + 0.9) / 3)
    assert direct.mean_iou.value == pytest.approx((1 + 2 * 90 / 110) / 3)
    assert back.mean_dice.value == pytest.approx((1 + 0.9 + 0.85) / 3)
    assert back.mean_iou.value == pytest.approx((1 + 90 / 110 + 85 / 115) / 3)
    assert found.greatest_dice == pytest.approx(0.05)
    assert found.greatest_iou == pytest.approx(90 / 110 - 85 / 115)
    overlaps = {one.structure: one for one in found.overlaps}
    for name in ("Left Lung", "Right Lung"):
        one = overlaps[name]
        assert (one.number, one.other, one.differing) == (4, 1, 15000)
        assert (one.mean_dice, one.least_dice) == pytest.approx((3.75 / 4, 0.75))
        assert (one.mean_iou, one.least_iou) == pytest.approx((3.6 / 4, 0.6))
        assert one.greatest_share == 15000 / (512 * 640)
    assert overlaps["Heart"] == returned_masks.OverlapFigures("Heart", 4, 1.0, 1.0, 1.0, 1.0, 0, 0, 0.0)
    assert "The node's masks are not those of the direct path" in found.words

    by_json = json.loads((tmp_path / "out" / "metrics.json").read_text())["through_node"]["masks"]
    assert by_json["greatest_dice"] == found.greatest_dice
    assert {one["structure"]: one["differing"] for one in by_json["overlaps"]} == {
        "Left Lung": 15000,
        "Right Lung": 15000,
        "Heart": 0,
    }
    assert tmp_path / "out" / "structures-through-node.csv" in written
    with (tmp_path / "out" / "structures-through-node.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line for line in lines if line["image"].endswith("2.png")] == [
        *(line(name, "", "", "0.750000", "0.600000", "15000") for name in ("Left Lung", "Right Lung")),
        line("Heart", "", "", "1.000000", "1.000000", "0"),
        line("Lungs", "0.850000", f"{85 / 115:.6f}", "", "", ""),
    ]
    text = page.html(told)
    assert "Segmentations that came back" in text
    assert "<td>0.93750</td><td>0.75000</td>" in text

    # what came back is not sent again, and gives the same
    again, _, more = sent(collection, tmp_path / "out", (0, 0, 0, 0), own_port=port)
    assert more == []
    assert again.through_node is not None
    assert again.through_node.masks == found


def line(structure: str, *figures: str) -> dict[str, str]:
    heads = ("dice", "iou", "dice_with_direct", "iou_with_direct", "differing_pixels")
    return {
        "image": "images/2.png",
        "structure": structure,
        **dict(zip(heads, figures, strict=True)),
        "not compared": "",
    }


@pytest.mark.parametrize("style", [DEFAULT_STYLE, LABELMAP])
def test_masks_that_come_back_whole_are_the_direct_paths(style: Style, collection: Path, tmp_path: Path):
    told, _, _ = sent(collection, tmp_path / "out", (0, 0, 0, None), style)
    assert told.through_node is not None
    found = told.through_node.masks
    assert found is not None
    assert (found.compared, found.missing) == (3, 1)
    assert {(one.least_dice, one.differing) for one in found.overlaps} == {(1.0, 0)}
    assert "The node's masks are those of the direct path" in found.words
    assert "Images without a segmentation that could be compared: 1." in found.words
    # of the first image's lungs the label map has 7500 of 60000 pixels less
    lost = 0 if style is DEFAULT_STYLE else 1 - 2 * 52500 / (52500 + 60000)
    assert found.greatest_dice == pytest.approx(lost)
    assert found.label_maps == (3 if style is LABELMAP else 0)
    assert ("label maps" in found.words) == (style is LABELMAP)


def test_a_dataset_without_masks_is_compared_with_the_direct_path_alone(collection: Path, tmp_path: Path):
    (collection / "semantic_masks_v7labs_lungs.zip").unlink()
    told, _, _ = sent(collection, tmp_path / "out", (0, 0, 0, 0))
    assert told.structures == ()
    assert told.through_node is not None
    found = told.through_node.masks
    assert found is not None
    assert (found.structures, found.direct, found.greatest_dice) == ((), (), None)
    assert [(one.structure, one.number, one.differing) for one in found.overlaps] == [
        (name, 4, 0) for name in AREAS
    ]
    assert "Dice through the node" not in page.html(told)


def test_a_dataset_of_which_no_label_is_scored_is_compared_by_its_masks(collection: Path, tmp_path: Path):
    table = collection / "metadata.csv"
    table.write_text(table.read_text().replace("Pneumonia/", ""))
    told, _, _ = sent(collection, tmp_path / "out", (0, 0, 0, 0))
    assert told.evaluation.findings == ()
    assert told.through_node is not None
    difference, found = told.through_node.difference, told.through_node.masks
    assert (difference.answered, difference.greatest) == (4, None)
    assert difference.words == "No scores are compared: the network scores none of the dataset's labels."
    assert found is not None
    assert (found.compared, found.greatest_dice) == (4, 0.0)


def test_nothing_that_could_be_compared_is_said():
    nothing = returned_masks.ReturnedMasks(0, 2, {}, 0, (), (), (), None, None)
    assert nothing.words == "No segmentation came back that could be compared."


@pytest.fixture
def radiographs_with_masks(data: Path, tmp_path: Path) -> Path:
    """Two frontal radiographs of the COVID-19 collection, in the owner's layout, with their lungs."""
    index = data / "views" / "index.csv"
    if not index.is_file():
        pytest.skip("the radiographs with masks are not here")
    with index.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["mask_v7"] and row["view"] in ("PA", "AP")]
    rows = sorted(rows, key=lambda row: int(row["height"]))[:2]
    names = {row["image"]: Path(row["image"]).name for row in rows}
    return validate_cases.covid(
        tmp_path / "real",
        {names[row["image"]]: (row["view"], (data / "views" / row["image"]).read_bytes()) for row in rows},
        {names[row["image"]]: (data / "views" / row["mask_v7"]).read_bytes() for row in rows},
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["binary", "labelmap"])
def test_real_radiographs_with_masks_through_a_running_node(
    kind: str, radiographs_with_masks: Path, tmp_path: Path
):
    through = told_by_a_running_node(
        tmp_path,
        *("covid-19", "--images", str(radiographs_with_masks), "--segment", "--batch", "2"),
        seg_type=kind,
    )
    found = through["masks"]
    assert (through["difference"]["answered"], found["compared"]) == (2, 2)
    assert (found["missing"], found["not_compared"]) == (0, {})
    assert found["label_maps"] == (2 if kind == "labelmap" else 0)
    assert max(one["greatest_share"] for one in found["overlaps"]) <= returned_masks.SAME
    ((lungs, direct),) = zip(found["structures"], found["direct"], strict=True)
    assert (lungs["structure"], lungs["number"]) == ("Lungs", 2)
    if kind == "binary":
        assert found["greatest_dice"] < 1e-4
        assert lungs["mean_dice"]["value"] == pytest.approx(direct["mean_dice"]["value"], abs=1e-4)
