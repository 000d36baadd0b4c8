"""The commands as a user meets them: what is printed where, exit codes, files."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import forked
import numpy as np
import pytest
from images_cases import dicom, draw

from xrv_node import cli
from xrv_node.radiograph.resample import RESAMPLERS

NOTICE = "COMMISSIONING - NOT A RESULT"


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


@pytest.fixture
def xrv(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run a command in this process; a process of its own costs seconds."""

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["xrv-node", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return Said(int(end.value.code or 0), captured.out, captured.err)

    return run


def test_classify_prints_a_line_a_file_and_names_what_failed(xrv, folder: Path) -> None:
    said = xrv("classify", folder, "--commissioning", "--batch", 2)
    assert said.code == 1
    lines = said.out.splitlines()
    assert lines[0].split()[:3] == ["file", "Atelectasis", "Consolidation"]
    assert [line.split()[0] for line in lines[1:4]] == [
        str(folder / "b.png"), str(folder / "deep" / "a.jpg"), str(folder / "deep" / "er" / "c"),
    ]  # fmt: skip
    assert len({len(line) for line in lines[:4]}) == 1
    assert "*" in lines[1]
    assert f"note: {folder / 'deep' / 'er' / 'c'}: the networks are for frontal chest radiographs" in said.out
    assert "the header says lateral" in said.out
    assert "score >= 0.5, the operating point" in said.out
    assert lines[-1] == NOTICE
    assert said.err.splitlines() == [
        f"{folder / 'notes.txt'}: The file is not DICOM: it has neither the DICM prefix nor a data set.",
        "1 of 4 gave no result",
    ]


def test_configured_operating_points_are_those_of_the_configured_classifier(xrv, folder: Path) -> None:
    own, plain = folder.parent / "own.toml", folder.parent / "plain.toml"
    own.write_text("[models.thresholds]\nEffusion = 0.999\n")
    plain.write_text("")
    options = (folder / "b.png", "--commissioning", "--format", "json", "--config")
    found = {
        name: json.loads(xrv("classify", *options, file, *more).out)
        for name, file, *more in (
            ("plain", plain),
            ("own", own),
            ("other", own, "--weights", "nih"),
            ("none", plain, "--weights", "nih"),
        )
    }
    before, after = (found[name]["images"][0] for name in ("plain", "own"))
    assert before["sigmoids"] == after["sigmoids"]
    moved = [label for label, score in after["scores"].items() if score != before["scores"][label]]
    assert moved == ["Effusion"]
    assert after["scores"]["Effusion"] == pytest.approx(after["sigmoids"]["Effusion"] / (2 * 0.999), abs=1e-5)
    assert found["own"]["model"]["site_thresholds"] == [["Effusion", 0.999]]
    assert found["own"]["rule"].endswith("the site's own for Effusion)")
    assert found["other"] == found["none"]
    folders = [folder.parent / name for name in ("maps-own", "maps-plain")]
    for config, out in zip((own, plain), folders, strict=True):
        options = ("--finding", "Effusion", "--commissioning", "--out", out, "--config", config)
        assert xrv("explain", folder / "b.png", *options).code == 0
    scores = [np.load(next(out.rglob("*.npz")))["scores"][0] for out in folders]
    assert scores == pytest.approx([after["scores"]["Effusion"], before["scores"]["Effusion"]], abs=1e-6)


def test_classify_for_programs(xrv, folder: Path) -> None:
    options = (folder, "--commissioning", "--resampler", "area", "--threshold", "0.55")
    as_json = xrv("classify", *options, "--format", "json")
    as_csv = xrv("classify", *options, "--format", "csv")
    assert as_json.code == as_csv.code == 1
    found = json.loads(as_json.out)
    assert found["notice"] == NOTICE
    assert found["model"]["name"] == "densenet121-res224-all (untrained)"
    assert found["resampler"] == RESAMPLERS["area"].words
    assert found["rule"] == "score >= 0.55"
    assert [Path(f["file"]).name for f in found["failed"]] == ["notes.txt"]
    rows = list(csv.DictReader(io.StringIO(as_csv.out)))
    assert len(rows) == len(found["images"]) == 3
    for row, image in zip(rows, found["images"], strict=True):
        assert list(row) == ["file", *image["scores"], "present", "note", "notice"]
        assert row["file"] == image["file"]
        assert row["notice"] == NOTICE
        assert row["present"].split(";") == image["present"]
        assert image["present"] == [n for n, s in image["scores"].items() if s >= 0.55]
        assert all(abs(float(row[n]) - s) < 1e-5 for n, s in image["scores"].items())


def test_all_good_is_0_and_nothing_is_1(xrv, tmp_path: Path) -> None:
    path = draw(tmp_path / "in" / "a.png")
    assert xrv("classify", path, "--commissioning").code == 0
    (tmp_path / "empty").mkdir()
    said = xrv("classify", tmp_path / "empty", "--commissioning")
    assert (said.code, said.out, said.err) == (1, "", "there are no files\n")
    said = xrv("classify", tmp_path / "gone.png", "--commissioning", "--format", "json")
    assert said.code == 1
    assert "There is no such file." in said.err
    assert json.loads(said.out)["images"] == []


def test_mistakes_are_one_line_and_2(xrv, tmp_path: Path) -> None:
    path = draw(tmp_path / "a.png")
    for arguments, words in (
        (("classify", path, "--dir", tmp_path), "xrv-node models pull densenet121-res224-all"),
        (("classify", path, "--dir", tmp_path), "--commissioning"),
        (("classify", path, "--commissioning", "--resampler", "x"), "use one of skimage, area, antialias"),
        (("classify", path, "--commissioning", "--operating-point", "x"), "use one of youden, ppv80"),
        (("classify", path, "--commissioning", "--device", "cuda:99"), "this machine does not have"),
        (("explain", path, "--commissioning", "--finding", "x"), "was not trained on 'x'"),
        (("explain", path, "--commissioning", "--method", "x"), "use one of gradcam, guided, gradient"),
        (
            ("embed", path, "--commissioning", "--out", tmp_path / "x.csv"),
            "must end in one of .npz, .parquet",
        ),
    ):
        said = xrv(*arguments)
        assert said.code == 2
        assert said.err.startswith("error: ")
        assert said.err.count("\n") == 1
        assert words in said.err
        assert said.out == ""


def test_segment_explain_embed_and_reconstruct_write_files(xrv, tmp_path: Path) -> None:
    good, bad = dicom(tmp_path / "in" / "a.dcm"), tmp_path / "in" / "b.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n")
    out = tmp_path / "out"
    for arguments, expected in (
        (
            ("segment", "--out", out, "--seg", "--structure", "Heart"),
            ["a/overlay.png", "a/Heart.png", "a/seg.dcm"],
        ),
        (("explain", "--out", out, "--finding", "effusion"), ["a/Effusion-gradcam.png", "a/gradcam.npz"]),
        (("embed", "--out", out / "x.npz"), ["x.npz"]),
        (("reconstruct", "--out", out), ["a.png"]),
    ):
        command, *options = arguments
        said = xrv(command, tmp_path / "in", "--commissioning", *options)
        assert said.code == 1
        assert said.out.splitlines()[-1] == NOTICE
        assert said.out.startswith(f"{good}: ")
        assert (
            said.err
            == f"{bad}: The PNG picture is damaged: it does not state its size.\n1 of 2 gave no result\n"
        )
        assert all((out / name).is_file() for name in expected)
    with np.load(out / "x.npz", allow_pickle=False) as kept:
        assert kept["ids"].tolist() == [str(good)]


def test_where_it_cannot_write_it_says_so(xrv, tmp_path: Path) -> None:
    path = draw(tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    said = xrv("reconstruct", path, "--commissioning", "--out", tmp_path / "file")
    assert said.code == 2
    assert "name another --out" in said.err


def test_help_names_every_choice(xrv) -> None:
    from xrv_node.analyse.attribution import METHODS
    from xrv_node.lab.images.classify import RULES

    classify, explain = xrv("classify", "--help").out, xrv("explain", "--help").out
    assert all(name in classify for name in (*RESAMPLERS, *RULES))
    assert all(name in explain for name in METHODS)


def test_on_a_terminal_there_is_a_bar_on_standard_error_only(tmp_path: Path) -> None:
    """A process of its own, with a terminal for its errors and a pipe for its results."""
    paths = [draw(tmp_path / f"{n}.png", n) for n in range(6)]
    ours, theirs = pty.openpty()
    command = [*forked.COMMAND, "classify", *map(str, paths), "--commissioning", "--batch", "1"]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    with forked.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment) as process:
        os.close(theirs)
        errors = b""
        try:
            while part := os.read(ours, 4096):
                errors += part
        except OSError:  # how Linux says that the other end is closed
            pass
        assert process.stdout is not None
        out = process.stdout.read().decode()
    os.close(ours)
    assert process.returncode == 0
    assert b"classifying" in errors
    assert b"/6" in errors
    assert "\x1b" not in out
    assert len(out.splitlines()) == 9
