"""PNG and JPEG pictures of every kind that people have."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image
from radiograph_files import image, ramp, write

from xrv_node.errors import ImageError
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
    thumbnail = cv2.imencode(".jpg", ramp(8))[1].tobytes()
    whole = cv2.imencode(".jpg", GREY)[1].tobytes()
    application = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 8) + b"Exif\0\0" + thumbnail
    path = tmp_path / "image.jpg"
    path.write_bytes(whole[:2] + application + whole[2:])
    assert read(path).pixels.shape == GREY.shape
    path.write_bytes((whole[:2] + application + whole[2:])[:-200])
    with pytest.raises(ImageError, match="truncated"):
        read(path)


def chunk(kind: bytes, data: bytes, wrong: int = 0) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ wrong)


def png(*others: bytes, data: tuple[bytes, ...] = (), before: bytes = b"") -> bytes:
    """A grey PNG with other chunks between its header and its data."""
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in GREY))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", GREY.shape[1], GREY.shape[0], 8, 0, 0, 0, 0))
    image = b"".join(chunk(b"IDAT", part) for part in data or (rows[:50], rows[50:]))
    return b"\x89PNG\r\n\x1a\n" + before + head + b"".join(others) + image + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "kind", [b"tEXt", b"zTXt", b"iCCP", b"gAMA", b"sBIT", b"tRNS", b"pHYs", b"acTL", b"fdAT", b"eXIf"]
)
@pytest.mark.parametrize("wrong", [0, 1])
def test_ancillary_chunks_of_a_png_do_not_matter(
    kind: bytes, wrong: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither their content nor their checksum: the pixels are whole."""
    path = tmp_path / "image.png"
    path.write_bytes(png(chunk(kind, b"any\0thing", wrong)) + b"behind the end")
    assert np.array_equal(read(path).pixels, GREY)
    assert capfd.readouterr() == ("", "")


def test_critical_chunks_of_a_png_must_be_right(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    raw = b"".join(b"\0" + row.tobytes() for row in GREY)
    whole, rows = png(), zlib.compress(raw)
    damaged = {
        "header": whole[:19] + b"\1" + whole[20:],
        "checksum of the header": whole[:29] + b"\0\0\0\0" + whole[33:],
        "data": whole[:80] + b"\xff" + whole[81:],
        "end": whole[:-1] + b"\0",
        "no end": whole[:-12],
        "unknown and critical": png(chunk(b"ABCD", b"any")),
        "half of the data": png(data=(rows[: len(rows) // 2],)),
        "a chunk of data missing": png(data=(rows[:50], rows[90:])),
        "rows missing": png(data=(zlib.compress(raw[: len(raw) // 2]),)),
        "checksum of the data": png(data=(rows[:-4] + b"\0\0\0\0",)),
        "no data": png(data=(b"",)),
        "two headers": png(before=whole[8:33]),
    }
    for what, data in damaged.items():
        path = tmp_path / "image.png"
        path.write_bytes(data)
        with pytest.raises(ImageError, match="damaged or truncated"):
            print(what, read(path))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_in_a_png_is_applied(orientation: int, tmp_path: Path) -> None:
    from PIL import ImageOps

    path = tmp_path / "image.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(GREY).save(path, exif=exif)
    assert np.array_equal(read(path).pixels, np.asarray(ImageOps.exif_transpose(Image.open(path))))


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_few_bits_in_sixteen_are_told(bits: int, tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    deep = (GREY.astype(np.uint16) << 8) >> (16 - bits)
    Image.fromarray(deep).save(path)
    (caution,) = read(path).cautions
    assert caution.key == "small-part-of-range"
    assert f"its largest value is {deep.max()}" in str(caution)
    said = read(path, max_value=(1 << bits) - 1)
    assert (said.low, said.high, said.cautions) == (0, (1 << bits) - 1, ())
    with pytest.raises(ImageError, match=f"largest value of the picture is {deep.max()}, above the 100"):
        read(path, max_value=100)


@pytest.mark.parametrize("scale", [1, 0.5, 0.1])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_dark_pictures_have_no_caution(scale: float, depth: type, tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    full = GREY.astype(float) * (1 if depth is np.uint8 else 257)
    picture = (full * scale if depth is np.uint8 else full * max(scale, 0.3)).astype(depth)
    Image.fromarray(picture).save(path)
    assert read(path).cautions == ()


def test_an_empty_middle_shows_nothing(tmp_path: Path) -> None:
    """The networks see the square in the middle alone."""
    path = tmp_path / "image.png"
    wide = np.zeros((100, 300), np.uint8)
    wide[:, :20] = 200
    for picture in (wide, wide.T, wide + np.random.default_rng(0).integers(0, 2, wide.shape, np.uint8)):
        Image.fromarray(np.ascontiguousarray(picture)).save(path)
        with pytest.raises(ImageError, match="The square in the middle, which is what the networks see"):
            read(path)
    wide[50, 151] = 9
    Image.fromarray(wide).save(path)
    assert read(path).pixels.shape == (100, 300)


def test_an_object_with_an_empty_middle_shows_nothing(tmp_path: Path) -> None:
    wide = np.zeros((100, 300), np.uint16)
    wide[:, :20] = 2000
    for attributes in (
        {},
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"WindowCenter": 2000, "WindowWidth": 9},
    ):
        with pytest.raises(ImageError, match="The square in the middle"):
            read(write(image(wide, 12, **attributes), tmp_path / "image.dcm"))
    # values that the window shows as one
    seen = wide + np.arange(300, dtype=np.uint16)
    assert read(write(image(seen, 12), tmp_path / "image.dcm")).rows == 100
    with pytest.raises(ImageError, match="The square in the middle"):
        read(write(image(seen, 12, WindowCenter=2000, WindowWidth=500), tmp_path / "image.dcm"))


def test_a_path_may_be_text(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(png())
    assert np.array_equal(read(str(path)).pixels, GREY)


@pytest.mark.parametrize("colour", [0, 2])
def test_interlaced_rows_are_put_in_order(
    colour: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Adam7 (ISO/IEC 15948 8.2), which no encoder here writes: seven small pictures, one after the other."""
    picture = GREY if colour == 0 else np.stack([GREY, GREY // 2, 255 - GREY], axis=-1)
    passes = [
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ]
    parts = (picture[top::down, left::across] for top, left, down, across in passes)
    rows = b"".join(b"\0" + row.tobytes() for part in parts for row in part if row.size)
    head = struct.pack(">IIBBBBB", GREY.shape[1], GREY.shape[0], 8, colour, 0, 0, 1)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path = tmp_path / "image.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    assert np.allclose(read(path).pixels, GREY if colour == 0 else picture @ LUMA, atol=1e-3)
    assert capfd.readouterr() == ("", "")


def test_a_lossless_jpeg_with_more_than_its_precision_is_refused(tmp_path: Path) -> None:
    values = np.linspace(0, 60000, 64 * 64).reshape(64, 64).astype(np.uint16)
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg8_encode(values, lossless=True))
    with pytest.raises(ImageError, match="The largest value of the picture is"):
        read(tmp_path / "a.jpg")
