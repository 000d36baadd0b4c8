"""PNG and JPEG pictures of every kind that people have."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from radiograph_files import ramp

from xrv_node.radiograph.read import read

GREY = np.kron(ramp(8), np.ones((2, 3), np.uint8))
LUMA = np.array([0.299, 0.587, 0.114])


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1", "I;16"])
def test_png_modes(tmp_path: Path, mode: str) -> None:
    """Written by Pillow, which is not what reads them here."""
    path = tmp_path / "image.png"
    expected, high = GREY.astype(np.float64), 255
    rgb = np.stack([GREY, GREY // 2, 255 - GREY], axis=-1)
    if mode == "L":
        picture = Image.fromarray(GREY)
    elif mode == "RGB":
        picture, expected = Image.fromarray(rgb), rgb @ LUMA
    elif mode == "RGBA":
        alpha = np.full((*GREY.shape, 1), 7, np.uint8)
        picture, expected = Image.fromarray(np.concatenate([rgb, alpha], axis=-1)), rgb @ LUMA
    elif mode == "LA":
        picture = Image.fromarray(np.stack([GREY, 255 - GREY], axis=-1), mode="LA")
    elif mode == "P":
        palette = np.stack([np.arange(256), 255 - np.arange(256), np.arange(256) // 3], axis=-1).astype(
            np.uint8
        )
        picture = Image.fromarray(GREY, mode="P")
        picture.putpalette(palette.tobytes())
        expected = palette[GREY] @ LUMA
    elif mode == "1":
        picture = Image.fromarray(GREY > 99)
        expected = (GREY > 99) * 255.0
    else:
        deep = GREY.astype(np.uint16) * 257 - (GREY > 0)
        picture, expected, high = Image.fromarray(deep), deep.astype(np.float64), 65535
    picture.save(path)
    radiograph = read(path)
    assert (radiograph.low, radiograph.high) == (0, high)
    assert np.allclose(radiograph.pixels, expected, atol=1e-3)
    if mode in ("L", "LA", "1", "I;16"):
        assert radiograph.pixels.dtype.kind == "u"


def test_grey_saved_as_colour_stays_exact(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), np.dstack([GREY] * 3))
    assert read(path).pixels.dtype == np.uint8
    assert np.array_equal(read(path).pixels, GREY)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"mode": "CMYK"}])
def test_jpeg_kinds(tmp_path: Path, options: dict[str, object]) -> None:
    path = tmp_path / "image.jpg"
    picture = Image.fromarray(GREY)
    if mode := options.pop("mode", None):
        picture = picture.convert("RGB").convert(str(mode))
    picture.save(path, quality=100, **options)
    assert np.abs(read(path).pixels.astype(int) - GREY).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    """The reference is Pillow's own reading of the tag."""
    from PIL import ImageOps

    path = tmp_path / "image.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(GREY).save(path, quality=100, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    pixels = read(path).pixels
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).max() <= 2


def test_the_thumbnail_s_end_is_not_the_picture_s(tmp_path: Path) -> None:
    """A truncated JPEG whose EXIF thumbnail is whole has an end marker, and is truncated all the same."""
    from xrv_node.errors import ImageError

    thumbnail = cv2.imencode(".jpg", ramp(8))[1].tobytes()
    whole = cv2.imencode(".jpg", GREY)[1].tobytes()
    application = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 8) + b"Exif\0\0" + thumbnail
    path = tmp_path / "image.jpg"
    path.write_bytes(whole[:2] + application + whole[2:])
    assert read(path).pixels.shape == GREY.shape
    path.write_bytes((whole[:2] + application + whole[2:])[:-200])
    with pytest.raises(ImageError, match="truncated"):
        read(path)
