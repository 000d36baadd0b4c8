"""Which files are looked at, and what becomes of those that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from images_cases import dicom, draw

from xrv_node.lab.images.files import Opened, Source, Unread, listed, opened
from xrv_node.radiograph.prepare import DEFAULT, prepare
from xrv_node.radiograph.read import read
from xrv_node.reasons import Reason


def test_folders_are_listed_to_the_bottom(folder: Path) -> None:
    sources, unread = listed(folder)
    assert [(str(s.path.relative_to(folder)), s.name) for s in sources] == [
        ("b.png", "b"),
        ("notes.png", "notes"),
        ("deep/a.jpg", "deep/a"),
        ("deep/er/c", "deep/er/c"),
    ]
    assert unread == []


def test_paths_may_be_one_text_or_many_and_each_file_is_taken_once(folder: Path) -> None:
    assert listed(str(folder)) == listed([folder]) == listed([str(folder), folder / "b.png"])


def test_names_differ(tmp_path: Path) -> None:
    files = [draw(tmp_path / name) for name in ("a/x.png", "b/x.png", "b/x.jpg")]
    sources, _ = listed(files)
    assert [s.name for s in sources] == ["x", "x-2", "x-3"]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    sources, unread = listed([tmp_path / "none.png"])
    assert sources == []
    assert unread == [Unread(tmp_path / "none.png", Reason("no-such-file"))]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_closed_folder_is_said(folder: Path) -> None:
    (folder / "deep").chmod(0)
    try:
        _, unread = listed(folder)
    finally:
        (folder / "deep").chmod(0o755)
    assert [u.path for u in unread] == [folder / "deep"]


def test_a_link_to_its_own_folder_does_not_loop(folder: Path) -> None:
    (folder / "deep" / "again").symlink_to(folder)
    assert len(listed(folder)[0]) == 4


def test_folders_on_other_disks_are_read_and_links_to_nothing_said(tmp_path: Path) -> None:
    here = tmp_path / "here"
    draw(here / "a.png"), draw(tmp_path / "disk/deep/b.png")
    (here / "disk").symlink_to(tmp_path / "disk")
    (here / "gone.png").symlink_to("nothing.png")
    sources, unread = listed(here)
    assert [source.name for source in sources] == ["a", "disk/deep/b"]
    assert unread == [Unread(here / "gone.png", Reason("link-leads-nowhere"))]


def test_files_are_read_in_order_however_many_ahead(tmp_path: Path) -> None:
    paths = [draw(tmp_path / f"{n}.png", n) for n in range(6)]
    paths.insert(2, tmp_path / "2.txt")
    paths[2].write_text("text")
    sources, _ = listed(paths)
    for ahead in (0, 1, 3, 20):
        items = list(opened(sources, 64, DEFAULT, ahead))
        assert [i.source.path if isinstance(i, Opened) else i.path for i in items] == paths
        assert isinstance(items[2], Unread)
        for item in (items[0], items[5]):
            assert isinstance(item, Opened)
            assert np.array_equal(item.pixels, prepare(read(item.source.path), 64))


def test_stopping_early_reads_no_more(tmp_path: Path) -> None:
    sources = [
        Source(draw(tmp_path / "0.png"), "0"),
        *(Source(tmp_path / "gone", str(n)) for n in range(5000)),
    ]
    items = opened(sources, 64, DEFAULT, ahead=2)
    assert isinstance(next(items), Opened)
    items.close()
    assert list(items) == []


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({}, ""),
        ({"ViewPosition": "LL"}, "the header says lateral"),
        ({"ViewPosition": None, "PatientOrientation": None}, "the header says unknown"),
        ({"BodyPartExamined": "HAND", "ViewPosition": None}, "the header says not chest"),
    ],
)
def test_a_header_that_does_not_say_frontal_is_noted(
    tmp_path: Path, attributes: dict[str, object], words: str
) -> None:
    (item,) = opened(listed(dicom(tmp_path / "a.dcm", **attributes))[0], 64, DEFAULT, 1)
    assert isinstance(item, Opened)
    assert (words in item.note) if words else item.note == ""


def test_a_picture_has_no_header_to_doubt(tmp_path: Path) -> None:
    (item,) = opened(listed(draw(tmp_path / "a.png"))[0], 64, DEFAULT, 1)
    assert isinstance(item, Opened)
    assert item.note == ""
