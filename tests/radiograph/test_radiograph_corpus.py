"""Every file of the shared corpus through the reader."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import numpy as np
import pytest
from radiograph_files import CORPUS, SHARED, corpus, corpus_file, tool

from xrv_node.errors import ImageError
from xrv_node.radiograph.header import read_header
from xrv_node.radiograph.read import read

ROWS = corpus() or [pytest.param({}, marks=pytest.mark.skip(reason="the shared corpus is not installed"))]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.get("file", "none"))
def test_decodes_what_can_be_decoded(row: dict[str, str]) -> None:
    path = CORPUS / row["file"]
    if path.stem.endswith("_JPLY"):
        return  # 12 bits in lossy JPEG, which the corpus' own tools could not decode
    if not row["pixel_max"] or int(row["NumberOfFrames"] or 1) > 1:
        with pytest.raises(ImageError) as caught:
            read(path)
        assert str(caught.value).endswith(".")
        assert row["PatientName"] not in str(caught.value) or not row["PatientName"]
        return
    radiograph = read(path)
    assert radiograph.pixels.shape == (int(row["Rows"]), int(row["Columns"]))
    assert radiograph.low <= radiograph.pixels.min() < radiograph.pixels.max() <= radiograph.high
    assert radiograph.header is not None
    assert "PixelData" not in radiograph.header
    plain = row["PhotometricInterpretation"] == "MONOCHROME2" and not row["WindowCenter"]
    if plain and not row["has_VOILUT"] and "JPEG Baseline" not in row["TransferSyntax"]:
        assert (radiograph.pixels.min(), radiograph.pixels.max()) == (
            int(row["pixel_min"]),
            int(row["pixel_max"]),
        )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.get("file", "none"))
def test_every_header_is_read_without_pixels(row: dict[str, str]) -> None:
    header = read_header(CORPUS / row["file"])
    assert "PixelData" not in header
    assert str(header.get("Rows") or "") == row["Rows"]
    assert str(header.get("Modality") or "") == row["Modality"]


@pytest.mark.parametrize("body", ["hip", "tibia"])
def test_lossless_syntaxes_give_the_uncompressed_pixels(body: str) -> None:
    number = {"hip": "RG2_hip", "tibia": "RG3_tibia"}[body]
    reference = read(corpus_file(f"not_chest/wg04_{number}_UNC.dcm")).pixels
    for syntax in ("RLE", "JPLL", "JLSL", "J2KR"):
        assert np.array_equal(read(corpus_file(f"not_chest/wg04_{number}_{syntax}.dcm")).pixels, reference), (
            syntax
        )
    for syntax in ("JLSN", "J2KI", "JPLY"):
        lossy = read(corpus_file(f"not_chest/wg04_{number}_{syntax}.dcm")).pixels
        # lossy from the first: within a twentieth of the range everywhere, and near on average
        assert np.abs(lossy - reference).mean() < 0.01, syntax


@pytest.mark.parametrize(
    "name",
    [
        "chest/barre_CR-MONO1-10-chest_noheader.dcm",
        "chest/orthanc_issue44_konica_mono1_jpeg.dcm",
        "edge/highdicom_dx_image_dog_lateral.dcm",
        "chest/nhsx_nih_dx.dcm",
        "not_chest/wg04_RG3_tibia_UNC.dcm",
    ],
)
def test_real_images_look_as_dcmtk_shows_them(name: str, tmp_path: Path) -> None:
    path = corpus_file(name)
    radiograph = read(path)
    assert radiograph.header is not None
    window = ["+Wi", "1"] if "WindowCenter" in radiograph.header else []
    output = tmp_path / "image.pgm"
    command = [tool("dcmj2pnm"), "-q", "-O", "+opw", *window, str(path), str(output)]
    subprocess.run(command, check=True, timeout=60)
    words = [w for line in output.read_text().splitlines() if not line.startswith("#") for w in line.split()]
    theirs = np.array(words[4:], dtype=np.float64).reshape(radiograph.pixels.shape) / int(words[3])
    ours = (radiograph.pixels - radiograph.low) / (radiograph.high - radiograph.low)
    # JPEG decoders differ by a step or two of 255
    assert np.abs(ours - theirs).max() < 3 / 255


def test_bright_is_dense_on_real_chests() -> None:
    """Lungs are darker than the mediastinum between them, whatever the photometric interpretation."""
    index = CORPUS / "manifest.csv"
    if not index.exists():
        pytest.skip("the shared corpus is not installed")
    wrong = []
    for row in csv.DictReader(index.open()):
        if row["file"].startswith("chest/"):
            radiograph = read(CORPUS / row["file"])
            pixels = radiograph.pixels.astype(np.float32)
            rows, columns = pixels.shape
            band = pixels[rows // 3 : rows // 2]
            middle = np.median(band[:, int(columns * 0.47) : int(columns * 0.53)])
            lungs = [
                np.median(band[:, int(columns * at) : int(columns * (at + 0.08))]) for at in (0.26, 0.68)
            ]
            if not middle > max(lungs):
                wrong.append(row["file"])
    assert not wrong


def test_the_pictures_of_the_data_sets_are_read() -> None:
    pictures = sorted((SHARED / "data" / "nih" / "images").glob("*.png"))
    if not pictures:
        pytest.skip("the shared NIH images are not installed")
    for path in pictures:
        radiograph = read(path)
        assert radiograph.pixels.dtype == np.uint8
        assert radiograph.pixels.ndim == 2
        assert (radiograph.low, radiograph.high, radiograph.header) == (0, 255, None)
