"""Networks as a user has them: untrained, or trained ones in a directory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from images_cases import dicom, draw


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Threads that wait for a busy core cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images in two levels, a text, and files that no user means."""
    draw(tmp_path / "in" / "b.png", 1)
    draw(tmp_path / "in" / "deep" / "a.jpg", 2)
    dicom(tmp_path / "in" / "deep" / "er" / "c", ViewPosition="LL")
    (tmp_path / "in" / "notes.txt").write_text("not an image")
    (tmp_path / "in" / ".DS_Store").write_bytes(b"\0")
    (tmp_path / "in" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    return tmp_path / "in"
