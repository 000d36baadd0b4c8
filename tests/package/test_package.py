"""What an installation gets: the wheel holds every file that the code reads."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from xrv_node.phantom.about import ABOUT

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (path,) = target.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_what_the_code_reads(wheel: zipfile.ZipFile) -> None:
    held = set(wheel.namelist())
    for pattern in (
        "dicom_config/*.toml",
        "dicom_config/languages/*.toml",
        "dicom_config/recipes/*.*",
        "xrv_node/**/*.py",
        "xrv_node/py.typed",
        "xrv_node/templates/**/*.html",
        "xrv_node/templates/*.css",
        "xrv_node/phantom/*.npz",
    ):
        files = {str(p.relative_to(ROOT)) for p in ROOT.glob(pattern)}
        assert files
        assert files <= held, pattern
    assert "xrv_node/db/migrations/script.py.mako" in held
    assert any(name.endswith("licenses/LICENSE") for name in held)
    assert any(name.endswith("licenses/NOTICE") for name in held)
    assert not [name for name in held if name.startswith("tests")]


def test_the_notice_says_what_the_phantoms_are_derived_from() -> None:
    assert ABOUT in (ROOT / "NOTICE").read_text()


def test_the_locks_hold_hashes_and_no_addresses() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        pinned = re.findall(r"^([\w.\[\]-]+)==", text, re.MULTILINE)
        assert len(pinned) > 30
        assert text.count("--hash=sha256:") >= len(pinned)
        assert "torch" in pinned
        assert "torchvision" in pinned


def test_torch_and_torchvision_are_a_pair() -> None:
    import torch
    import torchvision

    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    assert torchvision.ops.nms(boxes, torch.tensor([1.0]), 0.5).tolist() == [0]
