"""JPEG pictures of which a part is missing are refused, wherever it is missing, and whole ones never."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile
from radiograph_files import SHARED, image, write

from xrv_node.errors import ImageError
from xrv_node.radiograph import jpeg
from xrv_node.radiograph.read import read

ImageFile.MAXBLOCK = 1 << 24
END = b"\xff\xd9"
Picture = NDArray[np.uint8]


def wave(rows: int = 300, columns: int = 260) -> Picture:
    y, x = np.mgrid[0:rows, 0:columns]
    noise = np.random.default_rng(rows + columns).normal(0, 5, (rows, columns))
    return (120 + 80 * np.sin(y / 37) * np.cos(x / 23) + noise).clip(0, 255).astype(np.uint8)


def pillow(picture: Picture, mode: str = "L", **options: Any) -> bytes:
    tinted = np.stack([picture, picture // 2 + 20, 255 - picture], axis=-1)
    file = io.BytesIO()
    made = Image.fromarray(picture) if mode == "L" else Image.fromarray(tinted).convert(mode)
    made.save(file, "JPEG", **{"quality": 90} | options)
    return file.getvalue()


ENCODERS: dict[str, Callable[[Picture], bytes]] = {
    "OpenCV": lambda p: cv2.imencode(".jpg", p)[1].tobytes(),
    "imagecodecs": lambda p: imagecodecs.jpeg8_encode(p, 90),
    "12 bits": lambda p: imagecodecs.jpeg8_encode(p.astype(np.uint16) * 16, 90, bitspersample=12),
    "low quality": lambda p: pillow(p, quality=20),
    "best quality": lambda p: pillow(p, quality=100),
    "optimised": lambda p: pillow(p, optimize=True),
    "progressive": lambda p: pillow(p, progressive=True),
    "restart markers": lambda p: pillow(p, restart_marker_rows=1),
    "many restart markers": lambda p: pillow(p, restart_marker_blocks=2),
    "colour 4:4:4": lambda p: pillow(p, "RGB", subsampling=0),
    "colour 4:2:2": lambda p: pillow(p, "RGB", subsampling=1),
    "colour 4:2:0": lambda p: pillow(p, "RGB", subsampling=2),
    "colour with restart markers": lambda p: pillow(p, "RGB", restart_marker_rows=1),
    "progressive colour": lambda p: pillow(p, "RGB", progressive=True),
    "not YCbCr": lambda p: pillow(p, "RGB", keep_rgb=True),
    "CMYK": lambda p: pillow(p, "CMYK"),
}


ONE: dict[int, jpeg.Decode | None] = {
    1: None,
    3: lambda data: imagecodecs.jpeg8_decode(data, outcolorspace="GRAYSCALE"),
    4: None,
}
"""By the number of components, what makes one."""


def looked_at(data: bytes, path: Path) -> NDArray[Any]:
    path.write_bytes(data)
    return np.asarray(read(path).pixels)


def scan(data: bytes) -> int:
    """Where the first scan's data begin."""
    return jpeg.read_codestream(data).scans[0].start


def refused(data: bytes, path: Path) -> bool:
    with suppress(ImageError):
        looked_at(data, path)
        return False
    return True


def odd_pictures() -> Iterator[Picture]:
    """Of sizes that leave blocks incomplete, with ends that look like what a decoder paints."""
    for size in [(9, 7), (16, 16), (17, 33), (100, 61), (203, 8), (8, 203)]:
        picture = wave(*size)
        yield picture
        for end in (0, 128, 255):
            half = picture.copy()
            half[size[0] // 2 :] = end
            yield half


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_whole_picture_is_never_refused(encoder: str) -> None:
    for picture in odd_pictures():
        data = ENCODERS[encoder](picture)
        found = jpeg.read_codestream(data)
        assert (found.ended, found.rows, found.columns) == (True, *picture.shape)
        look = imagecodecs.jpeg8_decode
        assert np.array_equal(jpeg.whole(data, look, ONE[len(found.factors)]), look(data))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_picture_that_is_cut_anywhere_is_refused(encoder: str, tmp_path: Path) -> None:
    whole = ENCODERS[encoder](wave())
    start = scan(whole)
    assert not refused(whole, tmp_path / "whole.jpg")
    for hundredth in range(100):
        at = start + (len(whole) - 30 - start) * hundredth // 100
        assert refused(whole[:at] + END, tmp_path / "cut.jpg"), hundredth
        assert refused(whole[:at], tmp_path / "cut.jpg"), hundredth


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_picture_with_a_piece_missing_is_refused(encoder: str, tmp_path: Path) -> None:
    whole = ENCODERS[encoder](wave(600, 500))
    start = scan(whole)
    pieces = [start + (len(whole) - start) * tenth // 10 for tenth in range(1, 9)]
    told = [refused(whole[:at] + whole[at + 1500 :], tmp_path / "piece.jpg") for at in pieces]
    assert sum(told) >= 7, told  # codes fall into step again, now and then after as many blocks


@pytest.mark.parametrize("encoder", [name for name in ENCODERS if "quality" not in name])
def test_a_picture_with_zeros_in_it_is_mostly_refused(encoder: str, tmp_path: Path) -> None:
    whole = ENCODERS[encoder](wave(600, 500))
    start = scan(whole)
    places = [start + (len(whole) - start) * tenth // 10 for tenth in range(1, 9)]
    told = [refused(whole[:at] + bytes(1500) + whole[at + 1500 :], tmp_path / "zeros.jpg") for at in places]
    assert sum(told) >= 4, told


def test_components_that_come_one_after_the_other_are_all_looked_at(tmp_path: Path) -> None:
    """Three scans, as no encoder here writes them: the data of three grey pictures under one frame."""
    parts = [imagecodecs.jpeg8_encode(wave(203 + number, 151)[:203], 90) for number in range(3)]
    found = [jpeg.read_codestream(part) for part in parts]
    first, frame = parts[0], found[0].frame_at
    tables = first[frame + 9 : found[0].scans[0].start - 10]
    head = first[: frame - 2] + (17).to_bytes(2, "big") + first[frame : frame + 5] + b"\3"
    head += b"".join(bytes([number, 0x11, 0]) for number in (1, 2, 3)) + tables
    scans = [
        b"\xff\xda\0\x08\1" + bytes([number, 0, 0, 63, 0]) + part[one.scans[0].start : one.scans[0].ends[-1]]
        for number, part, one in zip((1, 2, 3), parts, found, strict=True)
    ]
    whole = head + b"".join(scans) + END
    assert looked_at(whole, tmp_path / "whole.jpg").shape == (203, 151)
    for tenth in range(1, 10):
        at = len(head) + (len(whole) - len(head)) * tenth // 10
        assert refused(whole[:at] + END, tmp_path / "cut.jpg"), tenth
    assert refused(head + scans[0] + scans[1] + END, tmp_path / "two.jpg")


def test_scans_that_never_came_are_missed(tmp_path: Path) -> None:
    for mode in ("L", "RGB"):
        whole = pillow(wave(), mode, progressive=True)
        for last in range(1, len(jpeg.read_codestream(whole).scans)):
            at = jpeg.read_codestream(whole).scans[last].ends[-1]
            if at < len(whole) - 2:
                assert refused(whole[:at] + END, tmp_path / "scans.jpg")


def test_restart_intervals_that_never_came_are_missed(tmp_path: Path) -> None:
    whole = pillow(wave(), restart_marker_rows=1)
    ends = jpeg.read_codestream(whole).scans[0].ends
    assert refused(whole[: ends[3]] + whole[ends[11] :], tmp_path / "intervals.jpg")  # counted modulo 8
    assert refused(whole[: ends[-2]] + END, tmp_path / "last.jpg")


def test_what_stands_behind_the_end_does_not_count(tmp_path: Path) -> None:
    whole = pillow(wave())
    expected = looked_at(whole, tmp_path / "whole.jpg")
    for behind in (b"\0", b"garbage", END, whole, bytes(5000)):  # of two pictures in a file, the first
        assert np.array_equal(looked_at(whole + behind, tmp_path / "behind.jpg"), expected)
    with pytest.raises(ImageError):
        looked_at(whole[:3000] + whole, tmp_path / "two.jpg")


def test_a_few_bytes_too_many_do_not_count(tmp_path: Path) -> None:
    whole = pillow(wave())
    expected = looked_at(whole, tmp_path / "whole.jpg")
    for filling in (b"\0", b"\0\0\0", b"\xff", b"\xff\xff\xff", b"\x55" * 7):
        assert np.array_equal(looked_at(whole[:-2] + filling + END, tmp_path / "filled.jpg"), expected)
    assert refused(whole[:-2] + b"\x55" * 500 + END, tmp_path / "more.jpg")


@pytest.mark.parametrize("marker", [0xE1, 0xE2, 0xED, 0xFE])
def test_damaged_remarks_do_not_matter(marker: int, tmp_path: Path) -> None:
    """EXIF, a colour profile, Photoshop's and a comment: none of them is the picture."""
    whole = pillow(wave())
    expected = looked_at(whole, tmp_path / "whole.jpg")
    for remark in (
        b"",
        b"Exif\0\0",
        b"Exif\0\0MM\0*\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
        b"\xff\xd9" * 9,
    ):
        segment = bytes([0xFF, marker]) + (len(remark) + 2).to_bytes(2, "big") + remark
        assert np.array_equal(looked_at(whole[:2] + segment + whole[2:], tmp_path / "remark.jpg"), expected)
    too_short = bytes([0xFF, marker, 0, 4]) + b"more than that"
    assert np.array_equal(looked_at(whole[:2] + too_short + whole[2:], tmp_path / "remark.jpg"), expected)


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = pillow(wave())
    with pytest.raises(ImageError, match="The JPEG picture is damaged or truncated"):
        looked_at(whole[:4000] + END, tmp_path / "picture.jpg")
    for data in (whole[:4000] + END, whole[:-2] + bytes(9) + END, whole[:4000] + bytes(900) + whole[4900:]):
        refused(data, tmp_path / "picture.jpg")
    assert capfd.readouterr() == ("", "")


def test_the_pictures_that_people_have_are_whole() -> None:
    found = sorted(path for path in SHARED.rglob("*.jp*g"))
    if not found:
        pytest.skip("no pictures are installed")
    for path in found:
        read(path)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pixel_data_of_an_object_that_are_cut_are_refused(mode: str, tmp_path: Path) -> None:
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGBaseline8Bit

    picture = wave()
    pixels = picture if mode == "L" else np.stack([picture] * 3, axis=-1)
    whole = pillow(picture, mode)
    photometric = "MONOCHROME2" if mode == "L" else "YBR_FULL_422"

    def stored(data: bytes) -> Path:
        dataset = image(pixels, PhotometricInterpretation=photometric, PixelData=encapsulate([data]))
        dataset["PixelData"].is_undefined_length = True
        return write(dataset, tmp_path / "image.dcm", JPEGBaseline8Bit)

    assert read(stored(whole)).pixels.shape == picture.shape
    for share in (0.3, 0.6, 0.9):
        with pytest.raises(ImageError, match="The compressed pixel data are damaged"):
            read(stored(whole[: int(len(whole) * share)] + END))


def test_markers_without_end_are_not_followed(tmp_path: Path) -> None:
    """Of a hostile file, which would have each of millions looked at."""
    whole = pillow(wave(), restart_marker_rows=1)
    start = scan(whole)
    path = tmp_path / "picture.jpg"
    for flood in (
        whole[:start] + b"\xff\xd0" * 1_000_000 + END,
        whole[:2] + b"\xff\xfe\x00\x02" * 1_000_000 + whole[2:],
        pillow(wave())[:start] + b"\xff\xd0" + whole[start:],
    ):
        with pytest.raises(ImageError):
            looked_at(flood, path)


@pytest.mark.parametrize("factors", [0x411111, 0x221111, 0x211111, 0x121111, 0x111111])
@pytest.mark.parametrize("interval", [0, 3])
def test_progressive_pictures_of_any_sampling_are_read(factors: int, interval: int) -> None:
    """libjxl does not keep all of them; what it does not try is no damage."""
    picture = np.random.default_rng(0).integers(0, 255, (83, 101, 3), dtype=np.uint8)
    data = cv2.imencode(
        ".jpg",
        cv2.GaussianBlur(picture, (0, 0), 3),
        [
            *(cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factors),
            *(cv2.IMWRITE_JPEG_RST_INTERVAL, interval),
        ],
    )[1].tobytes()
    assert jpeg.whole(data, imagecodecs.jpeg8_decode).shape == (83, 101, 3)
