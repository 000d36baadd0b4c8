"""Which files lie below a folder, and what is said of what cannot be looked into."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from xrv_node.deliver.scu import files_in
from xrv_node.errors import XrvNodeError
from xrv_node.folders import below


def put(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def seen(folder: Path) -> tuple[list[str], list[str]]:
    """Files below the folder, and what was in the way, each as text relative to it."""
    trouble: list[str] = []
    files = list(below(folder, lambda at, why: trouble.append(f"{at.relative_to(folder)}: {why.key}")))
    return files, trouble


def test_links_to_folders_and_files_elsewhere_are_followed(tmp_path: Path) -> None:
    here, disk = tmp_path / "here", tmp_path / "disk"
    put(here / "b.png", here / "z/c.png", disk / "one/d.png", disk / "one/deep/e.png", disk / "f.png")
    (here / "a").symlink_to(disk / "one")
    (here / "f.png").symlink_to(disk / "f.png")
    assert seen(here) == (["b.png", "f.png", "z/c.png", "a/d.png", "a/deep/e.png"], [])


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    put(tmp_path / "disk/a.png")
    (tmp_path / "here").symlink_to(tmp_path / "disk")
    assert seen(tmp_path / "here") == (["a.png"], [])


def test_circles_end_and_no_file_comes_twice(tmp_path: Path) -> None:
    put(tmp_path / "images/x.png", tmp_path / "images/deep/y.png")
    for name, target in (
        ("a", "images"),
        ("images/up", ".."),
        ("images/deep/up", ".."),
        ("again", "images/deep"),
    ):
        (tmp_path / name).symlink_to(target, target_is_directory=True)
    assert seen(tmp_path) == (["images/x.png", "images/deep/y.png"], [])


def test_of_two_links_to_one_folder_the_first_has_its_files(tmp_path: Path) -> None:
    here, disk = tmp_path / "here", tmp_path / "disk"
    here.mkdir()
    put(disk / "part/x.png", disk / "y.png")
    (here / "a").symlink_to(disk / "part")
    (here / "b").symlink_to(disk)
    (here / "c").symlink_to(disk)
    assert seen(here) == (["a/x.png", "b/y.png"], [])


def test_links_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    put(tmp_path / "x.png")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "itself").symlink_to("itself")
    assert seen(tmp_path) == (
        ["x.png"],
        [f"{name}: link-leads-nowhere" for name in ("gone", "gone.png", "itself")],
    )


def test_what_is_hidden_or_a_macs_own_is_left_out(tmp_path: Path) -> None:
    put(
        *(
            tmp_path / name
            for name in ("x.png", "._x.png", ".git/config", "__MACOSX/._x.png", "deep/.DS_Store")
        )
    )
    assert seen(tmp_path) == (["x.png"], [])


def test_pipes_and_sockets_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert seen(tmp_path) == ([], [])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_closed_folder_is_told(tmp_path: Path) -> None:
    put(tmp_path / "closed/x.png", tmp_path / "y.png")
    (tmp_path / "closed").chmod(0)
    try:
        assert seen(tmp_path) == (["y.png"], ["closed: folder-not-listed"])
    finally:
        (tmp_path / "closed").chmod(0o755)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert seen(tmp_path / "none") == ([], [".: folder-not-listed"])


def test_sending_a_folder_follows_links_and_stops_at_one_to_nothing(tmp_path: Path) -> None:
    put(tmp_path / "disk/a.dcm", tmp_path / "here/b.dcm")
    (tmp_path / "here/link").symlink_to(tmp_path / "disk")
    assert [path.name for path in files_in([tmp_path / "here"])] == ["b.dcm", "a.dcm"]
    (tmp_path / "here/gone").symlink_to("nothing")
    with pytest.raises(XrvNodeError, match="gone: The link leads nowhere"):
        files_in([tmp_path / "here"])
