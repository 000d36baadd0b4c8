"""Files that are missing, damaged or of another size are found, and none is opened twice."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from owners import put
from typer.testing import CliRunner

from xrv_node.cli import app
from xrv_node.errors import DatasetError, XrvNodeError
from xrv_node.lab.datasets.load import load
from xrv_node.lab.datasets.table import LabelTable
from xrv_node.lab.datasets.verify import verify

RUN = CliRunner()


def tbx11k(folder: Path) -> LabelTable:
    """A good image and, one each, those that are missing, cut short, of another size, and oddly outlined."""
    names = ["good.png", "missing.png", "short.png", "smaller.png", "outlined.png"]
    content = {
        "images": [{"id": n, "file_name": name, "height": 60, "width": 50} for n, name in enumerate(names)],
        "categories": [{"id": 1, "name": "ActiveTuberculosis", "supercategory": "Tuberculosis"}],
        "annotations": [
            {"image_id": 0, "category_id": 1, "bbox": [1, 2, 30, 40]},
            {"image_id": 4, "category_id": 1, "bbox": [1, 2, 30]},
        ],
    }
    (folder / "annotations/json").mkdir(parents=True)
    (folder / "annotations/json/TBX11K_train.json").write_text(json.dumps(content))
    (folder / "imgs").mkdir()
    for name, size in {
        "good": (60, 50),
        "short": (60, 50),
        "smaller": (50, 60),
        "outlined": (60, 50),
    }.items():
        image = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
        cv2.imwrite(str(folder / f"imgs/{name}.png"), image)
    whole = (folder / "imgs/short.png").read_bytes()
    (folder / "imgs/short.png").write_bytes(whole[:-100])
    return load("tbx11k", folder)


def test_each_kind_of_trouble_is_told(tmp_path: Path) -> None:
    table = tbx11k(tmp_path)
    seen = []
    bad = verify(table, progress=lambda *done: seen.append(done))
    assert seen == [(n, 5) for n in range(1, 6)]
    assert [(Path(one.image).name, one.problem) for one in bad] == [
        ("missing.png", "The file cannot be read (No such file or directory)."),
        ("short.png", "The PNG picture is damaged or truncated."),
        ("smaller.png", "The image has 50 x 60 pixels; its owner says 60 x 50."),
        ("outlined.png", "an outline of ActiveTuberculosis is no xywh; get the dataset's file again"),
    ]


def test_a_second_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, ledger = tbx11k(tmp_path), tmp_path / "ledger"
    first = verify(table, ledger=ledger)
    with ledger.open("a") as file:
        file.write('{"image": "good.p')  # cut short by a kill
    opened = []
    from xrv_node.lab.datasets import verify as room

    monkeypatch.setattr(
        room, "open_image", lambda path, read=room.open_image: opened.append(path.name) or read(path)
    )
    assert verify(table, ledger=ledger) == first
    assert sorted(opened) == ["missing.png", "outlined.png", "short.png", "smaller.png"]
    (tmp_path / "imgs/good.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    changed = verify(table, ledger=ledger)
    assert Path(changed[0].image).name == "good.png"
    with pytest.raises(DatasetError, match="another --ledger"):
        verify(table, ledger=tmp_path)


def test_images_in_an_archive(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(
        "image_name,annotation\n1.jpg,0 2 3 20 30;1 4 5 30 40\n2.jpg,2 1 1 30 2 20 40\n3.jpg,\n"
    )
    image = np.random.default_rng(0).integers(0, 256, (60, 50), dtype=np.uint8)
    with zipfile.ZipFile(tmp_path / "train.zip", "w") as archive:
        archive.writestr("train/1.jpg", cv2.imencode(".jpg", image)[1].tobytes())
        archive.writestr("train/2.jpg", b"\xff\xd8 no picture")
    bad = verify(load("object-cxr", tmp_path), ledger=tmp_path / "ledger")
    assert [(one.image, one.problem) for one in bad] == [
        ("train.zip/train/2.jpg", "The JPEG picture is damaged: it does not state its size."),
        ("3.jpg", "The file cannot be read (No such file or directory)."),
    ]
    with (tmp_path / "train.zip").open("r+b") as file:
        file.seek(60)
        file.write(b"\0" * 200)
    assert len(verify(load("object-cxr", tmp_path), ledger=tmp_path / "ledger")) == 3


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    tbx11k(tmp_path)
    told = RUN.invoke(app, ["datasets", "verify", "tbx11k", str(tmp_path), "--json"])
    assert told.exit_code == 1
    numbers = json.loads(told.stdout)
    assert (numbers["images"], len(numbers["problems"])) == (5, 4)
    words = RUN.invoke(app, ["datasets", "verify", "tbx11k", str(tmp_path)]).stdout
    assert "1 of 5 images are there and whole" in words
    assert "short.png: The PNG picture is damaged" in words


def test_the_sheet_shows_images_outlines_and_troubles(tmp_path: Path) -> None:
    tbx11k(tmp_path)
    out = tmp_path / "made/sheet.png"
    told = RUN.invoke(app, ["datasets", "sample", "tbx11k", str(tmp_path), "--count", "4", "--out", str(out)])
    assert told.exit_code == 0
    assert told.stdout.strip() == str(out)
    drawn = cv2.imread(str(out))
    assert drawn.shape[1] == 4 * 320
    again = tmp_path / "again.png"
    RUN.invoke(app, ["datasets", "sample", "tbx11k", str(tmp_path), "--count", "4", "--out", str(again)])
    assert again.read_bytes() == out.read_bytes()
    other = ["--seed", "1", "--out", str(again)]
    RUN.invoke(app, ["datasets", "sample", "tbx11k", str(tmp_path), "--count", "4", *other])
    assert again.read_bytes() != out.read_bytes()


def test_outlines_are_drawn_where_they_are(tmp_path: Path) -> None:
    from xrv_node.lab.datasets.contact_sheet import sheet

    table = tbx11k(tmp_path).take([0])
    picture = sheet(table).astype(int)
    coloured = np.argwhere(np.ptp(picture[27:347], axis=2) > 20)  # the title above, the text below
    top, left = (320 - 60) // 2, (320 - 50) // 2  # a small image is not enlarged
    assert coloured.min(axis=0).tolist() == [top + 2, left + 1]
    assert coloured.max(axis=0).tolist() == [top + 41, left + 30]
    assert len(coloured) == 2 * (30 + 40) - 4


def test_a_sheet_of_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("image_name,annotation\n1.jpg,\n")
    told = RUN.invoke(app, ["datasets", "sample", "object-cxr", str(tmp_path), "--with-masks"])
    assert isinstance(told.exception, DatasetError)


NIH = "Image Index,Finding Labels,Patient ID,Patient Age,Patient Gender,View Position\n"


@pytest.mark.parametrize("command", ["verify", "sample", "to-dicom"])
def test_a_dataset_without_its_images_is_one_sentence(tmp_path: Path, command: str) -> None:
    put(tmp_path / "nih/Data_Entry_2017.csv", NIH + "a.png,Mass,1,58,M,PA\nb.png,Mass,2,58,M,PA\n")
    out = [] if command == "verify" else ["--out", str(tmp_path / "out")]

    def said() -> str:
        told = RUN.invoke(app, ["datasets", command, "nih", str(tmp_path / "nih"), *out])
        assert isinstance(told.exception, DatasetError)
        assert not (tmp_path / "out").exists()
        return str(told.exception)

    assert said().startswith("NIH ChestX-ray14: none of its images is in")
    assert said().endswith("they are obtained from https://nihcc.app.box.com/v/ChestXray-NIHCC")
    put(tmp_path / "nih/images_001.tar.gz")
    assert "unless packed in images_001.tar.gz; they are obtained from" in said()
    put(tmp_path / "nih/archive.zip", "PK\x03\x04 and no more")
    assert said().endswith("archive.zip cannot be read as a zip archive; get it again")
    put(tmp_path / "nih/a.png")
    assert said().endswith("archive.zip cannot be read as a zip archive; get it again")
    assert "images: 2" in RUN.invoke(app, ["datasets", "stats", "nih", str(tmp_path / "nih")]).stdout


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    folder = tbx11k(tmp_path).root
    put(tmp_path / "file")
    for command in (["sample", "--out"], ["to-dicom", "--out"], ["verify", "--ledger"]):
        told = RUN.invoke(
            app, ["datasets", command[0], "tbx11k", str(folder), command[1], f"{tmp_path}/file/x"]
        )
        assert f"{tmp_path}/file/x" in str(told.exception)
        assert isinstance(told.exception, XrvNodeError)
