"""Items beside torchxrayvision's own of the same files, and the augmentation beside torchvision's."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torchvision
from torch.utils.data import DataLoader

from xrv_node.errors import ImageError, XrvNodeWarning
from xrv_node.lab.datasets import images as images_room
from xrv_node.lab.datasets.augment import Augmentation, drawn, moved
from xrv_node.lab.datasets.load import load
from xrv_node.lab.datasets.table import LabelTable
from xrv_node.lab.datasets.torch_dataset import Images
from xrv_node.lab.datasets.transforms import Fit

xrv = pytest.importorskip("torchxrayvision")

ENTRIES = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Sex,View Position\n"
    "00000001_000.png,Mass|Effusion,0,1,57,M,PA\n00000002_000.png,No Finding,0,2,40,F,PA\n"
)
BOXES = (
    "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
    "00000001_000.png,Mass,100,200,300,400\n00000001_000.png,Effusion,500,600,70,80\n"
)


def nih(folder: Path, rows: int = 256, columns: int = 256) -> LabelTable:
    """Two smooth images with boxes on the first."""
    (folder / "Data_Entry_2017_v2020.csv").write_text(ENTRIES)
    (folder / "BBox_List_2017.csv").write_text(BOXES)
    for number in (1, 2):
        noise = np.random.default_rng(number).integers(0, 256, (8, 8), dtype=np.uint8)
        image = cv2.resize(noise, (columns, rows), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"0000000{number}_000.png"), image)
    return load("nih", folder)


def original(folder: Path, **more: object) -> object:
    paths = (str(folder / name) for name in ("Data_Entry_2017_v2020.csv", "BBox_List_2017.csv"))
    return xrv.datasets.NIH_Dataset(str(folder), *paths, pathology_masks=True, **more)


FITS = [
    (Fit(crop=False), []),
    (Fit(), [xrv.datasets.XRayCenterCrop()]),
    (Fit(64), [xrv.datasets.XRayCenterCrop(), xrv.datasets.XRayResizer(64)]),
    (Fit(300, crop=False), [xrv.datasets.XRayResizer(300)]),
    (Fit(64, resampler="area"), [xrv.datasets.XRayCenterCrop(), xrv.datasets.XRayResizer(64, engine="cv2")]),
]


@pytest.mark.parametrize(("fit", "transforms"), FITS)
def test_items_are_torchxrayvisions(tmp_path: Path, fit: Fit, transforms: list[object]) -> None:
    table = nih(tmp_path)
    theirs = original(tmp_path, transform=torchvision.transforms.Compose(transforms))
    ours = Images(table, fit, pathology_masks=True)
    assert len(ours) == len(theirs) == 2  # type: ignore[arg-type]
    for index in range(2):
        expected, item = theirs[index], ours[index]  # type: ignore[index]
        assert item["idx"] == index
        assert item["img"].dtype == np.float32
        np.testing.assert_array_equal(item["lab"], expected["lab"])
        np.testing.assert_allclose(item["img"], expected["img"], atol=2e-3)
        assert set(item["pathology_masks"]) == set(expected["pathology_masks"])
        for label, mask in item["pathology_masks"].items():
            np.testing.assert_allclose(mask, expected["pathology_masks"][label], atol=1e-5)


@pytest.mark.parametrize(("fit", "transforms"), FITS)
@pytest.mark.parametrize("size", [(200, 256), (256, 200)])
def test_images_that_are_not_square_are_torchxrayvisions(
    tmp_path: Path, fit: Fit, transforms: list[object], size: tuple[int, int]
) -> None:
    item = Images(nih(tmp_path, *size), fit, pathology_masks=True)[0]
    theirs = original(tmp_path, transform=torchvision.transforms.Compose(transforms))
    np.testing.assert_allclose(item["img"], theirs[0]["img"], atol=2e-3)  # type: ignore[index]
    for mask in item["pathology_masks"].values():
        assert mask.shape == item["img"].shape


def test_the_mask_of_an_image_that_is_not_square_has_its_form(tmp_path: Path) -> None:
    table = nih(tmp_path, 200, 256)
    mass = table.pathologies.index("Mass")
    expected = original(tmp_path)[0]["pathology_masks"][mass]  # type: ignore[index]
    assert expected.shape == (1, 256, 256)
    compatible = Images(load("nih", tmp_path, xrv_compatible=True), pathology_masks=True)[0]
    np.testing.assert_array_equal(compatible["pathology_masks"][mass], expected)
    mask = Images(table, pathology_masks=True)[0]["pathology_masks"][mass][0]
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert (rows[0], len(rows)) == (int(200 * 200 / 1024), int(400 * 200 / 1024))
    assert (columns[0], len(columns)) == (int(100 * 256 / 1024), int(300 * 256 / 1024))


def test_a_mask_goes_the_way_of_its_image(tmp_path: Path) -> None:
    """The image is made of its own mask: wherever it is moved to, the mask is there."""
    table = nih(tmp_path, 300, 200)
    mass = table.pathologies.index("Mass")
    image = np.zeros((300, 200), dtype=np.uint8)
    image[int(200 * 300 / 1024) :][: int(400 * 300 / 1024), int(100 * 200 / 1024) :][
        :, : int(300 * 200 / 1024)
    ] = 255
    cv2.imwrite(str(tmp_path / "00000001_000.png"), image)
    for fit in (Fit(128), Fit(128, crop=False), Fit()):
        item = Images(table, fit, Augmentation(), pathology_masks=True)[0]
        inside = item["pathology_masks"][mass] > 0.5
        bright = item["img"] > 0
        assert bright.sum() > 500
        assert (inside != bright).mean() < 0.01


def test_movements_are_those_of_torchxrayvisions_papers() -> None:
    image = np.random.default_rng(0).uniform(-1024, 1024, (1, 90, 90)).astype(np.float32)
    mask = (image > 0).astype(np.float32)
    theirs = torchvision.transforms.Compose(
        [
            xrv.datasets.ToPILImage(),
            torchvision.transforms.RandomAffine(45, translate=(0.15, 0.15), scale=(0.85, 1.15)),
            torchvision.transforms.ToTensor(),
        ]
    )
    for seed in range(12):
        sample = {"img": image, "pathology_masks": {0: mask}}
        expected = xrv.datasets.apply_transforms(sample, theirs, seed=seed)
        move = drawn(Augmentation(), seed, 90, 90)
        np.testing.assert_array_equal(moved(image, move), expected["img"].numpy())
        np.testing.assert_array_equal(moved(mask, move), expected["pathology_masks"][0].numpy())


def test_nobody_elses_random_numbers_are_touched(tmp_path: Path) -> None:
    table = nih(tmp_path)

    def states() -> tuple[object, ...]:
        return random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist()  # type: ignore[union-attr]

    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    before = states()
    Images(table, augmentation=Augmentation(), seed=5)[0]
    assert states() == before
    affine = torchvision.transforms.Compose(
        [xrv.datasets.ToPILImage(), torchvision.transforms.RandomAffine(45)]
    )
    original(tmp_path, transform=xrv.datasets.XRayResizer(64), data_aug=affine)[0]  # type: ignore[index]
    assert all(mine != theirs for mine, theirs in zip(states(), before, strict=True))


def test_the_same_seed_moves_alike_and_another_one_otherwise(tmp_path: Path) -> None:
    images = Images(nih(tmp_path), Fit(96), Augmentation(), seed=3)
    backwards = [images[index]["img"] for index in (1, 0)][::-1]
    for index, image in enumerate(backwards):
        np.testing.assert_array_equal(images[index]["img"], image)
        assert (replace(images, seed=4)[index]["img"] != image).mean() > 0.5
    moves = {drawn(Augmentation(), seed, 90, 70) for seed in range(40)}
    assert len(moves) == 40
    assert all(abs(m.angle) <= 45 and abs(m.translate[0]) <= 10 and abs(m.translate[1]) <= 14 for m in moves)


@pytest.mark.parametrize("workers", [0, 1])
def test_torchs_loader_takes_them(tmp_path: Path, workers: int) -> None:
    (batch,) = DataLoader(Images(nih(tmp_path), Fit(64)), batch_size=2, num_workers=workers)
    assert batch["img"].shape == (2, 1, 64, 64)
    assert batch["img"].dtype == torch.float32
    assert batch["lab"].shape == (2, 14)
    assert batch["idx"].tolist() == [0, 1]


def test_structures_come_with_the_image(tmp_path: Path) -> None:
    for place in ("CXR_png", "ManualMask/leftMask"):
        (tmp_path / "MontgomerySet" / place).mkdir(parents=True)
        image = np.zeros((60, 80), dtype=np.uint8)
        image[10:50, 30:50] = 255
        cv2.imwrite(str(tmp_path / "MontgomerySet" / place / "MCUCXR_0001_1.png"), image)
    item = Images(load("nlm-tb", tmp_path), Fit(60), semantic_masks=True, pathology_masks=True)[0]
    assert item["pathology_masks"] == {}
    assert set(item["semantic_masks"]) == {"Left Lung"}
    np.testing.assert_array_equal(item["semantic_masks"]["Left Lung"] == 1, item["img"] == 1024)


def test_an_image_that_is_missing_is_named(tmp_path: Path) -> None:
    images = Images(nih(tmp_path))
    (tmp_path / "00000002_000.png").unlink()
    with pytest.raises(ImageError, match=r"00000002_000\.png: The file cannot be read"):
        images[1]
    with pytest.raises(IndexError):
        images[2]


@pytest.mark.parametrize("workers", [0, 1])
def test_masks_go_through_a_loader(workers: int, tmp_path: Path) -> None:
    """The first image has boxes of two findings, the second none: torch's own rules know no such batch."""
    images = Images(nih(tmp_path), Fit(64), pathology_masks=True, semantic_masks=True)
    for order in ([0, 1], [1, 0]):
        (batch,) = DataLoader(images, batch_size=2, sampler=order, num_workers=workers)
        assert batch["semantic_masks"] == {}
        masks = batch["pathology_masks"]
        assert sorted(masks) == sorted(images[0]["pathology_masks"]) != []
        for label, together in masks.items():
            assert together.shape == (2, 1, 64, 64)
            assert np.array_equal(together[order.index(0)], images[0]["pathology_masks"][label])
            assert not together[order.index(1)].any()
    (alone,) = DataLoader(images, batch_size=2, sampler=[1])
    assert alone["pathology_masks"] == {}


def test_a_folder_may_be_text(tmp_path: Path) -> None:
    assert len(nih(tmp_path)) == len(load("nih", str(tmp_path))) == 2


def of_few_levels(folder: Path, monkeypatch: pytest.MonkeyPatch) -> LabelTable:
    """A dataset of pictures of 12 bits in 16, of which nobody was warned yet."""
    monkeypatch.setattr(images_room, "_TOLD", set())
    table = nih(folder)
    for number in (1, 2):
        path = folder / f"0000000{number}_000.png"
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.uint16) * 16)
    return table


def test_the_first_picture_of_few_levels_is_warned_of_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """12 bits that were written into 16 as they are; most probably in the whole dataset."""
    table = of_few_levels(tmp_path, monkeypatch)
    images = Images(table, Fit(64))
    with pytest.warns(
        XrvNodeWarning, match=r"00000001_000.png, and perhaps others: The picture uses"
    ) as told:
        assert [images[number]["idx"] for number in (0, 1, 0)] == [0, 1, 0]
    assert len(told) == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_so_it_is_where_a_network_is_validated(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xrv_node.lab.validate.read_images import PreparedImages, batches

    table = of_few_levels(tmp_path, monkeypatch)
    prepared = PreparedImages(table, np.arange(2), (64,), "skimage")
    with pytest.warns(XrvNodeWarning, match="and perhaps others: The picture uses") as told:
        assert sum(len(batch.good) for batch in batches(prepared, 1, workers)) == 2
    assert len(told) == 1
