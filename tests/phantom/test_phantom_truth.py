"""What is written beside phantoms is what is in them, and can be shown."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom import dcmread
from typer.testing import CliRunner

from xrv_node.cli import app
from xrv_node.errors import ConfigError
from xrv_node.phantom import outlines, truth
from xrv_node.phantom.about import ABOUT
from xrv_node.phantom.findings import can_be_together
from xrv_node.phantom.objects import Sending


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    requests = [truth.Request(2, findings=("Nodule", "Pneumothorax"), rows=128), truth.Request(3, rows=128)]
    truth.write(folder, requests, Sending("CR", "MONOCHROME1"))
    return folder


def test_the_truth_names_every_file_by_its_uids(made: Path) -> None:
    images = json.loads((made / truth.FILE).read_text())["images"]
    assert [image["seed"] for image in images] == [2, 3]
    for image in images:
        ds = dcmread(made / image["file"])
        assert image["sop_instance_uid"] == ds.SOPInstanceUID
        assert image["study_uid"] == ds.StudyInstanceUID
        assert image["photometric"] == ds.PhotometricInterpretation


def test_each_finding_has_place_size_box_and_mask(made: Path) -> None:
    first, normal = json.loads((made / truth.FILE).read_text())["images"]
    assert set(first["places"]) == {"Nodule", "Pneumothorax"}
    assert not normal["places"]
    assert first["findings"]["Nodule"]
    assert first["findings"]["Pneumonia"] is None
    assert not any(normal["findings"].values())
    for place in [*first["places"].values(), *normal["structures"].values()]:
        mask = cv2.imread(str(made / place["mask"]), cv2.IMREAD_GRAYSCALE) > 0
        assert mask.shape == (128, 128)
        assert mask.sum() == place["pixels"]
        top, left, bottom, right = place["box"]
        assert mask[top:bottom, left:right].sum() == place["pixels"]
    assert 10 < first["places"]["Nodule"]["size_mm"] < 35


def test_a_file_is_shown_with_its_truth(made: Path) -> None:
    drawn = outlines.of_file(made / "phantom-00002-PA.dcm")
    red = (drawn == outlines.FINDING).all(axis=2)
    assert red.any()
    assert not (outlines.of_file(made / "phantom-00003-PA.dcm") == outlines.FINDING).all(axis=2).any()


def test_without_a_truth_nothing_is_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not tell of"):
        outlines.of_file(tmp_path / "a.dcm")


def test_findings_are_named_as_people_write_them() -> None:
    assert truth.named(" nodule, pleural thickening", 1) == ("Nodule", "Pleural_Thickening")
    assert truth.named("", 1) == ()
    drawn = [truth.named("any", seed) for seed in range(30)]
    assert len(set(drawn)) > 10
    assert all(can_be_together(findings) for findings in drawn)
    assert drawn[4] == truth.named("any", 4)


def test_the_command_line_makes_and_shows(tmp_path: Path) -> None:
    run = CliRunner().invoke(
        app,
        ["phantom", "make", str(tmp_path), "--rows", "64", "--seed", "4", "--no-masks", "--syntax", "rle"],
    )
    assert run.exit_code == 0, run.output
    assert "RLE" in dcmread(tmp_path / "phantom-00004-PA.dcm").file_meta.TransferSyntaxUID.name
    target = tmp_path / "shown.png"
    shown = CliRunner().invoke(app, ["phantom", "show", "--seed", "4", "--rows", "64", "--out", str(target)])
    assert shown.exit_code == 0, shown.output
    assert np.asarray(cv2.imread(str(target))).shape == (64, 64, 3)
    assert CliRunner().invoke(app, ["phantom", "--about"]).output == ABOUT
    assert isinstance(CliRunner().invoke(app, ["phantom", "show"]).exception, ConfigError)
