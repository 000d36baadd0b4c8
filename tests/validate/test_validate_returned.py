"""Segmentations that come back are compared: with known masks, against figures worked out by hand."""

from __future__ import annotations

import csv
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import validate_cases
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from made import radiograph
from pydicom import Dataset, dcmread, dcmwrite
from serving import Node
from typer.testing import CliRunner
from validate_node import node, results

from xrv_node.cli import app
from xrv_node.datasets.load import load
from xrv_node.models import catalog
from xrv_node.models.model import Segmenter
from xrv_node.radiograph.prepare import frame
from xrv_node.report import codes
from xrv_node.validate import networks, page, report, returned, run, through_node, validation
from xrv_node.validate.overlap import Overlap, packed
from xrv_node.validate.reading import Prepared
from xrv_node.validate.receiver import listen
from xrv_node.validate.store import Returned, Store
from xrv_node.validate.structures import Agreement
from xrv_node.values import DEFAULT_STYLE, Frame, Style

TARGETS = tuple(codes.structures())
STYLES = [Style(seg_geometry=g, seg_type=t) for g in ("nominal", "none") for t in ("binary", "labelmap")]
LABELMAP = Style(seg_type="labelmap")
SIDE = 512
SQUARE = Frame(SIDE, 640, 0, 64, SIDE)
"""Of pictures of 512 rows and 640 columns: no resampling changes it."""
AREAS = {  # in the segmenter's order
    "Left Lung": (slice(100, 400), slice(350, 450)),  # 30000 pixels
    "Right Lung": (slice(100, 400), slice(150, 250)),  # 30000 pixels
    "Heart": (slice(250, 400), slice(300, 400)),  # 15000 pixels, half of them over the left lung
}
"""In the square."""
MIDDLE = 300
"""Column of the square that parts the lungs."""


def masks(shift: int = 0, names: Sequence[str] = tuple(AREAS)) -> dict[str, np.ndarray]:
    """The structures in the square, the lungs some columns further to the right."""
    made = {}
    for name in names:
        made[name] = np.zeros((SIDE, SIDE), bool)
        made[name][AREAS[name]] = True
        if "Lung" in name:
            made[name] = np.roll(made[name], shift, axis=1)
    return made


def whole(mask: np.ndarray) -> np.ndarray:
    """A mask of the square in the picture."""
    made = np.zeros((SIDE, 640), bool)
    made[:, 64:576] = mask
    return made


class Answers(torch.nn.Module):
    """Its output is known: the lungs are where its input is bright, the heart is where `AREAS` has it."""

    size = SIDE

    def __init__(self) -> None:
        super().__init__()
        self.place = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = torch.full((len(x), len(TARGETS), SIDE, SIDE), -1.0)
        bright = torch.where(x[:, 0] > 0, 1.0, -1.0)
        logits[:, TARGETS.index("Right Lung"), :, :MIDDLE] = bright[:, :, :MIDDLE]
        logits[:, TARGETS.index("Left Lung"), :, MIDDLE:] = bright[:, :, MIDDLE:]
        logits[:, TARGETS.index("Heart"), *AREAS["Heart"]] = 1.0
        return logits


SEGMENTER = Segmenter(catalog.find("chestx_det"), Answers())


def prepared(square: Frame = SQUARE, truth: Mapping[str, np.ndarray] | None = None) -> Prepared:
    """An image that is bright where the lungs are, with masks of the dataset."""
    lungs = masks()["Left Lung"] | masks()["Right Lung"]
    inputs = {SIDE: np.where(lungs, 1024, -1024).astype(np.float32)}
    drawn = {name: packed(mask) for name, mask in (truth or {}).items()}
    return Prepared(3, inputs=inputs, structures=drawn, square=square)


def segmentation(
    found: Mapping[str, np.ndarray], style: Style = DEFAULT_STYLE, square: Frame = SQUARE
) -> Dataset:
    """What the node sends of these masks."""
    image = radiograph(Rows=square.rows, Columns=square.columns)
    (made,) = results(
        image, {}, style, ["seg"], structures=tuple(found), masks=np.stack(list(found.values())), frame=square
    )
    return made


def same(name: str) -> Overlap:
    return Overlap(name, 1.0, 1.0, 0, 0.0)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [(512, 640), (700, 900), (97, 122), (333, 256)])
def test_what_the_node_makes_of_the_direct_paths_masks_is_the_same(style: Style, size: tuple[int, int]):
    square = frame(*size)
    found = returned.compared(segmentation(masks(), style, square), prepared(square), SEGMENTER)
    assert sorted(found.overlaps, key=lambda one: one.structure) == [*map(same, sorted(AREAS))]
    assert (found.row, found.why_not, found.structures) == (3, "", ())
    assert found.label_map == (style.seg_type == "labelmap")


def test_masks_beside_the_datasets_own_are_whole():
    truth = {name: whole(mask) for name, mask in masks().items()}
    found = returned.compared(segmentation(masks()), prepared(truth=truth), SEGMENTER)
    assert {one.structure for one in found.structures} == {*AREAS, "Lungs"}
    assert {(one.dice, one.iou) for one in found.structures} == {(1.0, 1.0)}


def test_a_label_map_says_less_and_is_what_the_node_can_send_all_the_same():
    truth = {name: whole(mask) for name, mask in masks().items()}
    found = returned.compared(segmentation(masks(), LABELMAP), prepared(truth=truth), SEGMENTER)
    # the heart is smaller than the lung, and keeps the 50 x 150 pixels that both have
    assert {one.structure: (one.dice, one.iou) for one in found.structures} == {
        "Right Lung": (1.0, 1.0),
        "Heart": (1.0, 1.0),
        "Left Lung": (2 * 22500 / (22500 + 30000), 22500 / 30000),
        "Lungs": (2 * 52500 / (52500 + 60000), 52500 / 60000),
    }
    assert {one.dice for one in found.overlaps} == {1.0}


def test_shifted_masks_give_the_figures_of_a_ruler():
    truth = {"Lungs": whole(masks(10)["Left Lung"] | masks(10)["Right Lung"])}
    found = returned.compared(segmentation(masks(25)), prepared(truth=truth), SEGMENTER)
    # of 100 columns 75 are common with the direct path, and 85 with the dataset
    lung = partial(Overlap, dice=0.75, iou=75 / 125, differing=2 * 25 * 300, share=15000 / (512 * 640))
    assert {one.structure: one for one in found.overlaps} == {
        "Left Lung": lung("Left Lung"),
        "Right Lung": lung("Right Lung"),
        "Heart": same("Heart"),
    }
    assert found.structures == (Agreement("Lungs", 0.85, 85 / 115),)


def test_a_segment_that_is_missing_is_empty_and_one_too_many_is_wrong():
    sent = masks(names=["Left Lung", "Right Lung"]) | {"Aorta": masks()["Heart"]}
    truth = {"Heart": whole(masks()["Heart"])}
    found = returned.compared(segmentation(sent), prepared(truth=truth), SEGMENTER)
    wrong = partial(Overlap, dice=0.0, iou=0.0, differing=15000, share=15000 / (512 * 640))
    assert {one.structure: one for one in found.overlaps} == {
        "Left Lung": same("Left Lung"),
        "Right Lung": same("Right Lung"),
        "Heart": wrong("Heart"),
        "Aorta": wrong("Aorta"),
    }
    assert found.structures == (Agreement("Heart", 0.0, 0.0),)


def cut(made: Dataset) -> None:
    made.PixelData = made.PixelData[: len(made.PixelData) // 2]


def gone(keyword: str) -> Callable[[Dataset], None]:
    return lambda made: delattr(made, keyword)


def huge(made: Dataset) -> None:
    made.Rows = made.Columns = 65535


@pytest.mark.parametrize("style", [DEFAULT_STYLE, LABELMAP])
@pytest.mark.parametrize(
    ("damage", "why_not"),
    [
        (cut, returned.NOT_READ),
        (gone("SegmentSequence"), returned.NOT_READ),
        (gone("PerFrameFunctionalGroupsSequence"), returned.NOT_READ),
        (gone("PixelData"), returned.NOT_READ),
        (gone("Rows"), returned.NOT_READ),
        (huge, returned.OTHER_SIZE),
    ],
)
def test_a_damaged_one_is_said(damage: Callable[[Dataset], None], why_not: str, style: Style):
    made = segmentation(masks(), style)
    damage(made)
    assert returned.compared(made, prepared(), SEGMENTER) == Returned(3, why_not)


SMALL = frame(40, 48)


def encoded(style: Style) -> bytes:
    buffer = BytesIO()
    dcmwrite(buffer, segmentation(masks(), style, SMALL), enforce_file_format=True)
    return buffer.getvalue()


WHOLE = {style: encoded(style) for style in (DEFAULT_STYLE, LABELMAP)}


@hypothesis_settings(deadline=None, max_examples=60)
@given(st.sampled_from(list(WHOLE)), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=9))
def test_no_bytes_make_it_fail(style: Style, changes: list[tuple[float, int]]):
    damaged = bytearray(WHOLE[style])
    for where, value in changes:
        damaged[132 + int(where * (len(damaged) - 133))] = value
    try:
        made = dcmread(BytesIO(bytes(damaged)))
    except Exception:  # what is no object at all never gets here
        return
    found = returned.compared(made, prepared(SMALL), SEGMENTER)
    assert found.why_not or found.overlaps


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(through_node, "GRACE", 0.2)


def test_several_segmentations_count_once_and_strangers_not_at_all(dataset: Path, tmp_path: Path):
    square = frame(256, 256)
    store = Store(tmp_path / "through-node.sqlite", {})
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

    def compare(made: Dataset, row: int) -> Returned:
        return replace(returned.compared(made, prepared(square), SEGMENTER), row=row)

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
    assert found[3] == Returned(3, returned.NOT_READ)


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


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def sent(
    folder: Path, out: Path, shifts: Sequence[int | None], style: Style = DEFAULT_STYLE, own_port: int = 0
) -> tuple[report.Validation, list[Path], list[Dataset]]:
    """Validate through a node that shifts its masks so many columns, and sends none for None."""
    port = free_port()

    def answer(image: Dataset) -> list[Dataset]:
        shift = shifts[int(image.PatientID.rpartition(":")[2])]
        kinds = ["report"] if shift is None else ["report", "seg"]
        stack = np.stack(list(masks(shift or 0).values()))
        return results(
            image, {"Pneumonia": 0.5}, style, kinds, structures=tuple(AREAS), masks=stack, frame=SQUARE
        )

    plan = run.Plan("covid-19", folder, "all", segment=True, workers=0, device="cpu", commissioning=True)
    with node(port, answer, own_port) as (peer, received):
        told, written = validation.validate(
            plan,
            out,
            out,
            lambda _words: nullcontext(lambda _done, _of: None),
            way=through_node.Way(peer, 60),
            receiver=validation.Receiver("127.0.0.1", port),
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
    assert overlaps["Heart"] == returned.OverlapFigures("Heart", 4, 1.0, 1.0, 1.0, 1.0, 0, 0, 0.0)
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
    nothing = returned.Masks(0, 2, {}, 0, (), (), (), None, None)
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
    port = free_port()
    running = Node(
        tmp_path / "node",
        destinations=f'[[destinations]]\nname = "validation"\nkind = "dimse"\nae_title = "XRVVALIDATE"\n'
        f'host = "127.0.0.1"\nport = {port}\nsend = ["report", "seg"]\nseg_type = "{kind}"\n',
    ).start()
    try:
        ran = CliRunner().invoke(
            app,
            [
                *("validate", "covid-19", "--images", str(radiographs_with_masks), "--segment"),
                *("--commissioning", "--workers", "0", "--device", "cpu", "--batch", "2", "--json"),
                *("--out", str(tmp_path / "out"), "--through-node", f"XRVNODE@127.0.0.1:{running.port}"),
                *("--receive-port", str(port)),
            ],
        )
    finally:
        running.stop()
    assert ran.exit_code == 0, ran.output + str(ran.exception)
    through = json.loads(ran.stdout)["through_node"]
    found = through["masks"]
    assert (through["difference"]["answered"], found["compared"]) == (2, 2)
    assert (found["missing"], found["not_compared"]) == (0, {})
    assert found["label_maps"] == (2 if kind == "labelmap" else 0)
    assert max(one["greatest_share"] for one in found["overlaps"]) <= returned.SAME
    ((lungs, direct),) = zip(found["structures"], found["direct"], strict=True)
    assert (lungs["structure"], lungs["number"]) == ("Lungs", 2)
    if kind == "binary":
        assert found["greatest_dice"] < 1e-4
        assert lungs["mean_dice"]["value"] == pytest.approx(direct["mean_dice"]["value"], abs=1e-4)
