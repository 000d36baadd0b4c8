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
from made import phantom
from pydicom import dcmread
from serving import with_networks

from xrv_node import cli
from xrv_node.radiograph.resample import RESAMPLERS
from xrv_node.values import PHANTOM_WORDS


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
    said = xrv("classify", folder, "--batch", 2)
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
    assert said.err.splitlines() == [
        "1 other file passed over: 1 .csv",
        f"{folder / 'notes.png'}: This is text, not an image.",
        "1 of 4 gave no result",
    ]


def test_configured_operating_points_are_those_of_the_configured_classifier(xrv, folder: Path) -> None:
    own, plain = folder.parent / "own.toml", folder.parent / "plain.toml"
    own.write_text("[models.thresholds]\nEffusion = 0.999\n")
    plain.write_text("")
    options = (folder / "b.png", "--format", "json", "--config")
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
        options = ("--finding", "Effusion", "--out", out, "--config", config)
        assert xrv("explain", folder / "b.png", *options).code == 0
    scores = [np.load(next(out.rglob("*.npz")))["scores"][0] for out in folders]
    assert scores == pytest.approx([after["scores"]["Effusion"], before["scores"]["Effusion"]], abs=1e-6)


def test_classify_for_programs(xrv, folder: Path) -> None:
    options = (folder, "--resampler", "area", "--threshold", "0.55")
    as_json = xrv("classify", *options, "--format", "json")
    as_csv = xrv("classify", *options, "--format", "csv")
    assert as_json.code == as_csv.code == 1
    found = json.loads(as_json.out)
    assert found["notice"] == ""
    assert found["model"]["name"] == "densenet121-res224-all"
    assert found["resampler"] == RESAMPLERS["area"].words
    assert found["rule"] == "score >= 0.55"
    assert [Path(f["file"]).name for f in found["failed"]] == ["notes.png"]
    rows = list(csv.DictReader(io.StringIO(as_csv.out)))
    assert len(rows) == len(found["images"]) == 3
    for row, image in zip(rows, found["images"], strict=True):
        assert list(row) == ["file", *image["scores"], "present", "note", "notice"]
        assert row["file"] == image["file"]
        assert row["notice"] == ""
        assert row["present"].split(";") == image["present"]
        assert image["present"] == [n for n, s in image["scores"].items() if s >= 0.55]
        assert all(abs(float(row[n]) - s) < 1e-5 for n, s in image["scores"].items())


def test_all_good_is_0_and_nothing_is_1(xrv, tmp_path: Path) -> None:
    path = draw(tmp_path / "in" / "a.png")
    assert xrv("classify", path).code == 0
    (tmp_path / "empty").mkdir()
    said = xrv("classify", tmp_path / "empty")
    assert (said.code, said.out, said.err) == (1, "", "there are no images\n")
    said = xrv("classify", tmp_path / "gone.png", "--format", "json")
    assert said.code == 1
    assert "There is no such file." in said.err
    assert json.loads(said.out)["images"] == []


def test_mistakes_are_one_line_and_2(xrv, tmp_path: Path) -> None:
    path = draw(tmp_path / "a.png")
    for arguments, words in (
        (
            ("classify", path, "--commissioning", "--weights", "age"),
            "no network for phantoms that does what riken",
        ),
        (("classify", path, "--resampler", "x"), "use one of skimage, area, antialias"),
        (("classify", path, "--operating-point", "x"), "use one of youden, ppv80"),
        (("classify", path, "--device", "cuda:99"), "this machine does not have"),
        (("explain", path, "--finding", "x"), "was not trained on 'x'"),
        (("explain", path, "--method", "x"), "use one of gradcam, guided, gradient"),
        (
            ("embed", path, "--out", tmp_path / "x.csv"),
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
        said = xrv(command, tmp_path / "in", *options)
        assert said.code == 1
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
    said = xrv("reconstruct", path, "--out", tmp_path / "file")
    assert said.code == 2
    assert "name another --out" in said.err


def test_with_commissioning_phantoms_are_answered_and_nothing_else(xrv, tmp_path: Path) -> None:
    inside, out = tmp_path / "in", tmp_path / "out"
    draw(inside / "patient.png")
    marked = inside / "phantom.dcm"
    phantom().save_as(marked, enforce_file_format=True)
    for command, *options in (
        ("classify",),
        ("segment", "--out", out, "--seg"),
        ("explain", "--out", out),
        ("embed", "--out", out / "x.npz"),
        ("reconstruct", "--out", out),
    ):
        said = xrv(command, inside, "--commissioning", *options)
        assert said.code == 1
        assert said.out.splitlines()[-1] == PHANTOM_WORDS
        assert str(marked) in said.out
        assert said.err.startswith(f"{inside / 'patient.png'}: not a phantom: no findings.")
        assert "1 of 2 gave no result" in said.err
    assert all(
        item.SegmentDescription == PHANTOM_WORDS
        for item in dcmread(out / "phantom" / "seg.dcm").SegmentSequence
    )


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
    command = [*forked.COMMAND, "classify", *map(str, paths), "--batch", "1"]
    environment = with_networks(os.environ) | {"TERM": "xterm", "COLUMNS": "120"}
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
    assert len(out.splitlines()) == 8


NO_IMAGES = {
    "page.png": (b"<!DOCTYPE html><html>404</html>", "This is a web page, not an image"),
    "pointer.jpg": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "chest.tif": (b"II*\0\x08\0\0\0", "TIFF is not read: convert to PNG."),
    "brain.nii": (bytes(344) + b"n+1\0", "NIfTI is not read: convert to PNG."),
    "slice.bmp": (b"BM\x36\0\0\0\0\0", "BMP is not read"),
    "chest.jp2": (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000 is not read"),
    "phone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC is not read"),
    "empty.dcm": (b"", "The file is empty."),
    "text.dcm": (b"BM is how this text begins", "This is text, not an image."),
    "zipped.png": (b"PK\x03\x04\0\0", "This is an archive (zip), not an image"),
}
NOTHING_TO_DO_WITH_IMAGES = {
    "labels.csv": b"image,label\na.png,1\n",
    "of_a_spreadsheet.csv": "\ufeffBild;Größe\n".encode(),
    "notes.txt": "Übersicht\n".encode("latin-1"),
    "split.json": b"{}",
    "all.zip": b"PK\x03\x04",
    "scans.tar.gz": b"\x1f\x8b\x08",
    "paper.pdf": b"%PDF-1.4\n",
    "features.npy": b"\x93NUMPY\x01\0",
    "README": b"read me\n",
    "done": b"",
}


def test_files_that_are_no_images_are_called_what_they_are(xrv, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    draw(folder / "good.png")
    for name, (data, _) in NO_IMAGES.items():
        (folder / name).write_bytes(data)
    said = xrv("classify", folder, "--format", "csv")
    assert said.code == 1
    assert len(said.out.splitlines()) == 2
    told = dict(line.split(": ", 1) for line in said.err.splitlines()[:-1])
    assert set(told) == {str(folder / name) for name in NO_IMAGES}
    for name, (_, words) in NO_IMAGES.items():
        assert words in told[str(folder / name)]


def test_what_has_nothing_to_do_with_images_is_passed_over_in_folders_and_named_alone(
    xrv, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    draw(folder / "good.png")
    for name, data in NOTHING_TO_DO_WITH_IMAGES.items():
        (folder / name).write_bytes(data)
    said = xrv("classify", folder, "--format", "csv")
    assert (said.code, len(said.out.splitlines())) == (0, 2)
    assert said.err.startswith("10 other files passed over: 2 .csv, 2 without a suffix, 1 ")
    said = xrv("classify", *(folder / name for name in NOTHING_TO_DO_WITH_IMAGES))
    assert (said.code, said.out, len(said.err.splitlines())) == (1, "", 11)


def test_an_object_without_prefix_or_suffix_is_still_an_image(xrv, tmp_path: Path) -> None:
    whole = dicom(tmp_path / "whole.dcm").read_bytes()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bare").write_bytes(whole[132:])
    (tmp_path / "in" / "of_two_minds").write_bytes(
        b"II*\0" + whole[4:]
    )  # a TIFF in the preamble (PS3.10 7.1)
    said = xrv("classify", tmp_path / "in", "--format", "csv")
    assert (said.code, said.err, len(said.out.splitlines())) == (0, "", 3)


def test_libraries_say_nothing(tmp_path: Path) -> None:
    """In a process of its own: what pydicom warns of, and what libraries in C write to standard error."""
    folder = tmp_path / "in"
    png = draw(folder / "good.png").read_bytes()
    jpeg = draw(folder / "good.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2] + b"\xff\xd9")
    (folder / "damaged.png").write_bytes(png[:60] + b"\xff" + png[61:])
    (folder / "odd.dcm").write_bytes(b"\x08\0\x05\0CS\x0a\0ISO_IR 100" + b"\x08\0\x60\0UL\0\0" + bytes(90))
    command = [
        sys.executable,
        "-m",
        "xrv_node",
        "classify",
        str(folder),
        "--format",
        "csv",
    ]
    said = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=120, env=with_networks(os.environ)
    )
    assert len(said.stdout.splitlines()) == 3
    lines = said.stderr.splitlines()
    assert lines.pop() == "3 of 5 gave no result"
    assert [Path(line.split(":")[0]).name for line in lines] == ["cut.jpg", "damaged.png", "odd.dcm"]


@pytest.mark.parametrize("command", ["classify", "segment", "explain", "embed", "reconstruct"])
def test_every_command_takes_the_largest_value(xrv, command: str, tmp_path: Path, monkeypatch) -> None:
    import cv2
    import small_networks

    from xrv_node.lab.images import batches

    monkeypatch.setattr(batches, "get_model", small_networks.get_model)
    grey = cv2.imread(str(draw(tmp_path / "eight.png")), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(tmp_path / "twelve.png"), grey.astype(np.uint16) * 16)
    out = ["--device", "cpu"]
    if command != "classify":
        out += ["--out", tmp_path / ("x.npz" if command == "embed" else "out")]
    said = xrv(command, tmp_path / "twelve.png", *out)
    assert said.code == 0
    assert f"note: {tmp_path / 'twelve.png'}: The picture uses" in said.out
    said = xrv(command, tmp_path / "twelve.png", *out, "--max-value", 4080)
    assert (said.code, "note:" in said.out) == (0, False)
    said = xrv(command, tmp_path / "twelve.png", *out, "--max-value", 100)
    assert (said.code, "above the 100 that was given" in said.err) == (1, True)
    said = xrv(command, tmp_path / "twelve.png", *out, "--max-value", 0)
    assert (said.code, said.err) == (2, "error: 0 is no largest value of a picture: use one above 0\n")
