"""Sheets with phantoms beside radiographs, for the eye."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from made import radiograph

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools"))
import contact_sheet


def test_frontal_radiographs_stand_beside_phantoms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, out = tmp_path / "real", tmp_path / "sheets"
    there.mkdir()
    for number, view in enumerate(("PA", "LL"), 1):
        image = radiograph(number, ViewPosition=view)
        image.save_as(there / f"{view}.dcm", enforce_file_format=True)
    (there / "notes.txt").write_text("no image")
    given = ["--real", str(there), "--out", str(out), "--count", "2", "--size", "64"]
    monkeypatch.setattr(sys, "argv", ["contact_sheet.py", *given])
    assert contact_sheet.main() == 0
    assert sorted(line.partition(": ")[2] for line in (out / "mixed.txt").read_text().splitlines()) == [
        "PA.dcm",
        "seed 1",
        "seed 2",
    ]
    beside = cv2.imread(str(out / "beside.png"), cv2.IMREAD_GRAYSCALE)
    assert beside.shape == (2 * 68, 2 * (68 + 40))
    assert np.ptp(beside[:64, :64]) > 50


def test_without_a_frontal_radiograph_there_is_no_sheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    monkeypatch.setattr(sys, "argv", ["contact_sheet.py", "--real", str(tmp_path), "--out", str(tmp_path)])
    assert contact_sheet.main() == 1
    assert "no frontal radiograph" in capsys.readouterr().err
