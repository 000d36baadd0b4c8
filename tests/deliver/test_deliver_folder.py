"""A folder as destination."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_IMODE

import pytest
from deliver_cases import result
from deliver_peer import deflated, only
from pydicom import dcmread

from xrv_node.deliver.attempt import Outcome
from xrv_node.deliver.folder import FolderSender
from xrv_node.errors import DestinationError
from xrv_node.report.envelope import to_bytes
from xrv_node.settings.destinations import FolderDestination


def test_a_folder_gets_whole_files(tmp_path: Path) -> None:
    stored = result(tmp_path)
    sender = FolderSender(FolderDestination(name="f", path=tmp_path / "out"), "X")
    assert only(sender.send([stored])).outcome == Outcome.DELIVERED
    assert only(sender.send([stored])).outcome == Outcome.DELIVERED
    (path,) = (tmp_path / "out").rglob("*.*cm")
    assert path.read_bytes() == stored.path.read_bytes()
    assert path.name == f"seg-{stored.sop_instance_uid}.dcm"


@pytest.mark.parametrize("asked", [True, False])
def test_a_folder_gets_files_that_are_deflated_only_where_asked_for(tmp_path: Path, asked: bool) -> None:
    stored = deflated(tmp_path, name=b"M\x1b-A\xfcller^Zo\x1b-A\xeb= ")
    folder = FolderDestination(name="f", path=tmp_path / "out", deflate=asked)
    assert only(FolderSender(folder, "X").send([stored])).outcome == Outcome.DELIVERED
    (path,) = (tmp_path / "out").rglob("*.dcm")
    assert dcmread(path).file_meta.TransferSyntaxUID.is_deflated == asked
    sent, kept = dcmread(path), dcmread(stored.path)
    assert sent.get_item("PatientName").value == kept.get_item("PatientName").value
    assert to_bytes(sent) == to_bytes(kept)


@pytest.mark.parametrize(("folder", "file"), [(0o2770, 0o660), (0o755, 0o644), (None, 0o600)])
def test_what_is_put_there_is_as_open_as_the_folder(tmp_path: Path, folder: int | None, file: int) -> None:
    """The node keeps its own files to itself; those of a folder another program is to take away."""
    stored, out = result(tmp_path), tmp_path / "out"
    if folder is not None:
        out.mkdir()
        out.chmod(folder)
    before = os.umask(0o077)
    try:
        assert only(FolderSender(FolderDestination(name="f", path=out), "X").send([stored])).outcome == (
            Outcome.DELIVERED
        )
    finally:
        os.umask(before)
    (path,) = out.rglob("*.dcm")
    assert S_IMODE(path.stat().st_mode) == file
    assert S_IMODE(path.parent.stat().st_mode) == (0o700 if folder is None else folder)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sender = FolderSender(FolderDestination(name="f", path=tmp_path / "file" / "out"), "X")
    assert only(sender.send([result(tmp_path)])).outcome == Outcome.TRANSIENT
    with pytest.raises(DestinationError, match="make it or correct `path`"):
        sender.check()


def test_a_link_in_the_folder_leads_nowhere(tmp_path: Path) -> None:
    """Whoever can write there must not have the node write elsewhere."""
    stored = result(tmp_path)
    folder, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    for each in (folder, elsewhere):
        each.mkdir()
    link = folder / stored.path.parent.name
    link.symlink_to(elsewhere)
    sender = FolderSender(FolderDestination(name="f", path=folder), "X")
    assert only(sender.send([stored])).outcome == Outcome.REJECTED
    assert list(elsewhere.iterdir()) == []
    link.unlink()
    link.mkdir()
    (elsewhere / "kept").write_text("as it was")
    (link / f"seg-{stored.sop_instance_uid}.dcm").symlink_to(elsewhere / "kept")
    assert only(sender.send([stored])).outcome == Outcome.DELIVERED
    assert (elsewhere / "kept").read_text() == "as it was"
