"""What the tests of a user's own files share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import untrained
from images_cases import dicom, draw

from xrv_node.lab.images import batches


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Threads that wait for a busy core cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Untrained networks stand in for the released ones."""
    monkeypatch.setattr(batches, "get_model", untrained.get_model)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images in two levels, a text that is called an image, and files that no user means."""
    draw(tmp_path / "in" / "b.png", 1)
    draw(tmp_path / "in" / "deep" / "a.jpg", 2)
    dicom(tmp_path / "in" / "deep" / "er" / "c", ViewPosition="LL")
    (tmp_path / "in" / "notes.png").write_text("not an image")
    (tmp_path / "in" / "labels.csv").write_text("image,label\nb.png,1\n")
    (tmp_path / "in" / ".DS_Store").write_bytes(b"\0")
    (tmp_path / "in" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    return tmp_path / "in"
