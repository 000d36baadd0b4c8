"""Images are found as people keep them, in every dataset: a table of troubles that each of the readers meets."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from owners import all_there, put
from small_folders import COPIES, SMALL

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets import finder
from xrv_node.lab.datasets.images import open_image
from xrv_node.lab.datasets.load import load
from xrv_node.lab.datasets.table import LabelTable
from xrv_node.lab.datasets.verify import require_images

DATASETS = {name: (name, build) for name, build in SMALL.items()} | COPIES
"""By a title: the dataset's name, and what writes its folder."""

OTHER_COPY = {".png": ".jpeg", ".jpg": ".PNG", ".dcm": ".dicom", ".dicom": ".DCM"}


def behind_a_link(folder: Path, table: LabelTable) -> None:
    """The images lie on another disk, under a link to each of their folders."""
    for number, place in enumerate(sorted({item.image.parent for item in table})):
        shutil.move(place, folder.parent / f"disk-{number}")
        place.symlink_to(folder.parent / f"disk-{number}", target_is_directory=True)


def in_capitals(folder: Path, table: LabelTable) -> None:
    for item in table:
        item.image.rename(item.image.with_suffix(item.image.suffix.upper()))


def in_another_format(folder: Path, table: LabelTable) -> None:
    """Copies that differ in their ending only."""
    for item in table:
        item.image.rename(item.image.with_suffix(OTHER_COPY[item.image.suffix]))


def in_a_folder_more(folder: Path, table: LabelTable) -> None:
    """Unpacked into a folder of the archive's name."""
    for top in {item.image.relative_to(folder).parts[0] for item in table}:
        shutil.move(folder / top, folder / "download" / top)


def in_an_archive(folder: Path, table: LabelTable) -> None:
    """Packed on a Mac."""
    with zipfile.ZipFile(folder / "archive.ZIP", "w") as archive:
        for item in table:
            name = item.image.relative_to(folder).as_posix()
            archive.write(item.image, name)
            archive.writestr(f"__MACOSX/{Path(name).parent}/._{item.image.name}", b"\0\5\x16\7")
    for item in table:
        item.image.unlink()


def beside_masks(folder: Path, table: LabelTable) -> None:
    """Pictures of the same names, in folders that come first."""
    for item in table:
        for place in ("A_masks", "Annotations/train", "LungMask/png"):
            put(folder / place / item.image.relative_to(folder), "no radiograph")
            put(folder / place / item.image.name, "no radiograph")


def with_hidden_files(folder: Path, table: LabelTable) -> None:
    for item in table:
        put(item.image.with_name(f"._{item.image.name}"), "a Mac's")
        put(folder / "__MACOSX" / item.image.name, "a Mac's")
        put(folder / ".thumbnails" / item.image.name, "a desktop's")


TROUBLES: list[Callable[[Path, LabelTable], None]] = [
    behind_a_link,
    in_capitals,
    in_another_format,
    in_a_folder_more,
    in_an_archive,
    beside_masks,
    with_hidden_files,
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
@pytest.mark.parametrize("title", DATASETS)
def test_every_image_is_found(
    tmp_path: Path, title: str, trouble: Callable[[Path, LabelTable], None]
) -> None:
    name, build = DATASETS[title]
    folder = tmp_path / "data"
    build(folder)
    before = load(name, folder)
    assert all_there(before)
    trouble(folder, before)
    table = load(name, folder)
    require_images(table)
    assert table.csv["image"].map(Path).map(lambda path: path.stem).tolist() == [
        Path(image).stem for image in before.csv["image"]
    ]
    assert not any(finder.is_of_masks(image) for image in table.csv["image"])
    for item in table:
        assert open_image(item.image).pixels.size


@pytest.mark.parametrize("title", DATASETS)
def test_of_a_part_what_is_there_is_used_and_what_is_not_is_counted(tmp_path: Path, title: str) -> None:
    name, build = DATASETS[title]
    build(tmp_path)
    before = load(name, tmp_path)
    assert not before.notes
    gone = before.csv["image"].iloc[[0, -1]].tolist()
    for image in gone:
        (tmp_path / image).unlink()
    if name == "nlm-tb":  # its files are its labels
        assert len(load(name, tmp_path)) == len(before) - 2
        return
    table = load(name, tmp_path)
    require_images(table)
    there = [item.image.is_file() for item in table]
    assert sum(there) == len(before) - 2
    note = f"2 of {len(before)} images are not in {tmp_path}, such as"
    assert [one for one in table.notes if one.startswith(note)]


@pytest.mark.parametrize("title", DATASETS)
def test_two_files_of_one_image_are_told(tmp_path: Path, title: str) -> None:
    name, build = DATASETS[title]
    build(tmp_path)
    before = load(name, tmp_path)
    for item in before:
        copy = tmp_path / "zzz" / item.image.relative_to(tmp_path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(item.image, copy)
    table = load(name, tmp_path)
    assert table.csv["image"].tolist() == before.csv["image"].tolist()


@pytest.mark.parametrize("write", ["\\", "C:\\data\\", "D:/work/", "./", "/home/me/"])
@pytest.mark.parametrize("name", ["chexpert", "chexlocalize", "brax"])
def test_paths_that_another_machine_wrote(tmp_path: Path, name: str, write: str) -> None:
    SMALL[name](tmp_path)
    before = load(name, tmp_path)
    (labels,) = (path for path in tmp_path.rglob("*.csv"))
    text = labels.read_text()
    for image in {part for line in text.splitlines()[1:] for part in line.split(",") if "/" in part}:
        written = write + image if write != "\\" else image
        text = text.replace(image, written.replace("/", "\\") if "\\" in write else written)
    labels.write_text(text)
    table = load(name, tmp_path)
    assert table.csv["image"].tolist() == before.csv["image"].tolist()
    assert table.csv["patientid"].tolist() == before.csv["patientid"].tolist()


NIH = "Image Index,Finding Labels,Patient ID,Patient Age,Patient Sex,View Position\n"


def nih(folder: Path, *names: str) -> None:
    put(
        folder / "Data_Entry_2017_v2020.csv",
        NIH + "".join(f"{n},Mass,{i},57,M,PA\n" for i, n in enumerate(names)),
    )


def test_of_two_places_that_in_fewer_folders_is_taken_and_a_note_says_so(tmp_path: Path) -> None:
    nih(tmp_path, "a.png", "b.png")
    put(tmp_path / "images/a.png"), put(tmp_path / "images/b.png"), put(tmp_path / "aaa/small/a.png")
    table = load("nih", tmp_path)
    assert table.csv["image"].tolist() == ["images/a.png", "images/b.png"]
    assert table.notes == ("images are there more than once: taken from images, not from aaa/small",)


def test_of_two_formats_the_owners_is_taken_and_a_note_says_so(tmp_path: Path) -> None:
    nih(tmp_path, "a.png")
    put(tmp_path / "images/a.PNG"), put(tmp_path / "images/a.jpg")
    table = load("nih", tmp_path)
    assert table.csv["image"].tolist() == ["images/a.PNG"]
    assert table.notes == (
        "images are there more than once: taken from images (.png), not from images (.jpg)",
    )


def test_images_in_a_folder_of_masks_alone_are_none(tmp_path: Path) -> None:
    nih(tmp_path, "a.png", "b.png")
    put(tmp_path / "masks/a.png"), put(tmp_path / "masks/b.png")
    table = load("nih", tmp_path)
    assert table.notes == (
        "2 images are only in masks by their names: folders of masks hold no images, rename them if these do",
    )
    with pytest.raises(DatasetError, match="none of its images is in"):
        require_images(table)


@pytest.mark.parametrize(
    ("path", "masks"),
    [
        ("masks/a.png", True),
        ("train_masks/a.png", True),
        ("png_masks/0/a.png", True),
        ("ManualMask/leftMask/a.png", True),
        ("lungmasks/a.png", True),
        ("Segmentations/train/a.png", True),
        ("annotations/a.png", True),
        ("ground_truth_gt/a.png", True),
        ("heatmaps/a.png", True),
        ("train/a.png", False),
        ("a.png", False),
        ("images/a.png", False),
        ("siim-acr-pneumothorax-segmentation/dicom-images-train/a.dcm", False),
        ("siimacr-pneumothorax-segmentation-data-512/train/a.png", False),
        ("chest-xray-masks-and-labels/data/a.png", False),
        ("images_with_masks/a.png", False),
        ("lung-masks/images/a.png", False),
        ("masks/images/masks/a.png", True),
        ("unmasked/a.png", False),
    ],
)
def test_the_lowest_folder_that_says_what_it_holds_decides(path: str, masks: bool) -> None:
    assert finder.is_of_masks(path) is masks


def test_links_to_nothing_are_told(tmp_path: Path) -> None:
    nih(tmp_path, "a.png")
    put(tmp_path / "images/a.png")
    (tmp_path / "images_002").symlink_to(tmp_path / "unmounted")
    (note,) = load("nih", tmp_path).notes
    assert note.startswith(f"{tmp_path / 'images_002'}: The link leads nowhere")


def test_names_with_accents_as_a_mac_and_others_write_them(tmp_path: Path) -> None:
    nih(tmp_path, "r\u00e9al.png")
    put(tmp_path / "re\u0301al.png")
    assert all_there(load("nih", tmp_path))


def test_of_two_label_files_that_which_is_read_is_told(tmp_path: Path) -> None:
    for place in ("b", "a"):
        nih(tmp_path / place, f"{place}.png")
    table = load("nih", tmp_path)
    assert table.csv["image"].tolist() == ["a.png"]
    assert table.notes == ("a/Data_Entry_2017_v2020.csv is read, not b/Data_Entry_2017_v2020.csv",)


def test_a_label_file_in_a_folder_of_its_name(tmp_path: Path) -> None:
    nih(tmp_path / "Data_Entry_2017_v2020.csv", "a.png")
    (tmp_path / "Data_Entry_2017.csv").symlink_to("nothing")
    assert len(load("nih", tmp_path)) == 1


def test_a_label_file_that_is_still_packed_with_the_images(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("nih/Data_Entry_2017.csv", NIH)
    with pytest.raises(DatasetError, match=r"but packed, as archive.zip/nih/Data_Entry_2017.csv: unpack it"):
        load("nih", tmp_path)


def test_a_label_file_in_other_capitals(tmp_path: Path) -> None:
    nih(tmp_path, "a.png")
    (tmp_path / "Data_Entry_2017_v2020.csv").rename(tmp_path / "data_entry_2017_V2020.CSV")
    assert len(load("nih", tmp_path)) == 1


def test_a_hundred_thousand_files_in_linked_folders(tmp_path: Path) -> None:
    """What is counted is the looks at the disk, not seconds: each folder is listed once."""
    count, folders = 3000, 12
    here, disk = tmp_path / "here", tmp_path / "disk"
    names = [f"{number:08d}_000.png" for number in range(count)]
    for number in range(folders):
        (disk / f"{number}/images").mkdir(parents=True)
        for name in names[number::folders]:
            (disk / f"{number}/images/{name}").touch()
    here.mkdir()
    for number in range(folders):
        (here / f"images_{number:03d}").symlink_to(disk / str(number))
    nih(here, *names)
    assert all_there(load("nih", here, views=["*"], unique_patients=False))


WAYS = {
    "nih": ("00000003_000.png,Mass", "00000003_000.PNG,Hernia"),
    "rsna": (
        "0004cfab-14fd-4e49-80ba-63a80b6bddd1,264.0,152.0,213.0,379.0,1",
        "0004CFAB-14FD-4E49-80BA-63A80B6BDDD1,,,,,0",
    ),
    "padchest": (
        "1_a.png,0,20140911,81,1931.0,M,PA,\"['cardiomegaly', ' pleural effusion']\"",
        "0/1_a.png,0,20140911,81,1931.0,M,PA,\"['normal']\"",
    ),
    "siim-acr": (
        "1.2.276.0.7230010.3.1.4.8323329.301.151781, 9000 7",
        "1.2.276.0.7230010.3.1.4.8323329.301.151781.dcm, -1",
    ),
    "object-cxr": ("00002.jpg,0 10 12 30 40", "train/00002.JPG,"),
}
"""By dataset: a row, and another of the same image that is written otherwise and says something else."""


@pytest.mark.parametrize("name", WAYS)
def test_rows_of_one_file_that_contradict_each_other_are_refused(tmp_path: Path, name: str) -> None:
    SMALL[name](tmp_path)
    before = load(name, tmp_path)
    row, other = WAYS[name]
    labels = next(path for path in sorted(tmp_path.rglob("*.csv"), reverse=True) if row in path.read_text())
    (line,) = (line for line in labels.read_text().splitlines() if row in line)
    labels.write_text(labels.read_text() + line.replace(row, other) + "\n")
    options = {} if name in ("rsna", "siim-acr", "object-cxr") else {"unique_patients": False}
    with pytest.raises(DatasetError, match=r"several rows of a label file are of .* and have other labels"):
        load(name, tmp_path, **options)
    assert len(before) == 4


def test_rows_of_one_file_that_agree_are_one(tmp_path: Path) -> None:
    nih(tmp_path, "a.png", "A.PNG", "b.png")
    put(tmp_path / "a.png"), put(tmp_path / "b.png")
    table = load("nih", tmp_path, unique_patients=False)
    assert table.csv["image"].tolist() == ["a.png", "b.png"]
    assert "1 rows are of an image that another row has, and are passed over" in table.notes


@pytest.mark.parametrize("place", ["lung_segmentation", "gradcam", "predictions", "bounding_boxes", "extra"])
def test_a_folder_that_says_it_holds_images_comes_before_others(tmp_path: Path, place: str) -> None:
    nih(tmp_path, "a.png")
    put(tmp_path / place / "a.png"), put(tmp_path / "images_001/images/a.png")
    assert load("nih", tmp_path).csv["image"].tolist() == ["images_001/images/a.png"]


def test_paths_that_are_not_all_where_the_owner_has_them_are_looked_for(tmp_path: Path) -> None:
    SMALL["chexpert"](tmp_path)
    table = tmp_path / "train.csv"
    head, *lines = table.read_text().splitlines()
    many = [lines[0].replace("patient00001", f"patient{number:05d}") for number in range(100, 200)]
    table.write_text("\n".join([head, *many]) + "\n")
    for number in range(100, 200):
        ending = "jpg" if number % 3 else "png"
        put(tmp_path / f"train/patient{number:05d}/study1/view1_frontal.{ending}")
    assert all_there(load("chexpert", tmp_path))


def test_converters_endings_and_archives_two_folders_deep(tmp_path: Path) -> None:
    SMALL["vindr-cxr"](tmp_path)
    for path in sorted(tmp_path.rglob("*.dicom")):
        path.rename(f"{path}.png")
    assert all_there(load("vindr-cxr", tmp_path))
    hub = tmp_path / "hub"
    nih(hub, "a.png")
    (hub / "data/images").mkdir(parents=True)
    with zipfile.ZipFile(hub / "data/images/images_001.zip", "w") as archive:
        archive.writestr("images/a.png", b"")
    assert load("nih", hub).csv["image"].tolist() == ["data/images/images_001.zip/images/a.png"]


@pytest.mark.parametrize(
    "name", ["00000003_000.PNG", "images_001/images/00000003_000.png", "00000003_000.jpg"]
)
def test_boxes_belong_to_images_however_both_are_written(tmp_path: Path, name: str) -> None:
    SMALL["nih"](tmp_path)
    table = tmp_path / "Data_Entry_2017.csv"
    table.write_text(table.read_text().replace("00000003_000.png", name))
    assert load("nih", tmp_path).csv["has_masks"].tolist() == [False, False, True, False]


def test_both_hospitals_of_nlm_in_one_folder(tmp_path: Path) -> None:
    for name in ("MCUCXR_0001_0", "MCUCXR_0002_1", "CHNCXR_0001_0", "CHNCXR_0003_1", "CHNCXR_0004_1"):
        put(tmp_path / "CXR_png" / f"{name}.png")
    assert len(load("nlm-tb", tmp_path, part="montgomery")) == 2
    assert len(load("nlm-tb", tmp_path, part="shenzhen")) == 3


def test_the_owners_heading_comes_before_one_that_is_much_alike(tmp_path: Path) -> None:
    SMALL["chexpert"](tmp_path)
    before = load("chexpert", tmp_path)
    table = tmp_path / "train.csv"
    head, *lines = table.read_text().splitlines()
    table.write_text("\n".join([f"cardiomegaly,{head}", *(f"0.0,{line}" for line in lines)]) + "\n")
    assert np.array_equal(load("chexpert", tmp_path).labels, before.labels, equal_nan=True)


def test_a_picture_beyond_the_rows_of_stony_brook_is_told(tmp_path: Path) -> None:
    SMALL["stony-brook"](tmp_path)
    table = tmp_path / "ralo-dataset-metadata.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    (note,) = load("stony-brook", tmp_path).notes
    assert note.startswith("CXR_images_scored/3.jpg is beyond the 3 rows of the table")


def test_a_macs_files_beside_reports_are_passed_over(tmp_path: Path) -> None:
    SMALL["openi"](tmp_path)
    put(tmp_path / "ecgen-radiology/._1.xml", "a Mac's")
    assert len(load("openi", tmp_path)) == 4
