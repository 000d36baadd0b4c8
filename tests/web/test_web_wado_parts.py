"""The parts of WADO-RS by themselves: messages of several parts, headers in another encoding, frames, colours."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from email import message_from_bytes
from email.policy import HTTP
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from wado_site import CODED, NATIVE, as_bytes, scene, small

from xrv_node.errors import ImageError
from xrv_node.web.dicomweb import bulk, document, frames, picture, recode, segmented
from xrv_node.web.dicomweb.accept import ranges
from xrv_node.web.dicomweb.body import Body, BrokenOffError, of_bytes
from xrv_node.web.dicomweb.multipart_out import quoted, related

FRAMES = np.stack([scene(), scene()[::-1], scene()[:, ::-1]])


@settings(max_examples=40)
@given(st.lists(st.binary(max_size=300), max_size=4), st.booleans())
def test_a_message_is_read_by_others_as_it_was_written(parts: list[bytes], known: bool) -> None:
    bodies = [of_bytes("application/octet-stream; transfer-syntax=1.2", data) for data in parts]
    message = related(bodies if known else iter(bodies), "application/octet-stream")
    whole = b"".join(message.chunks())
    assert message.size == (len(whole) if known else None)
    read = message_from_bytes(f"Content-Type: {message.media_type}\r\n\r\n".encode() + whole, policy=HTTP)
    assert read.get_param("type") == "application/octet-stream"
    found = list(read.iter_parts()) if parts else []
    assert [part.get_param("transfer-syntax") for part in found] == ["1.2"] * len(parts)
    split = (b"\r\n" + whole).split(f"\r\n--{read.get_boundary()}".encode())
    assert [piece.partition(b"\r\n\r\n")[2] for piece in split[1:-1]] == parts


def test_of_a_part_of_unknown_length_the_message_has_none() -> None:
    assert related([Body("a/b", lambda: iter((b"x",)))], "a/b").size is None


def test_boundaries_are_of_one_message_each() -> None:
    kinds = {related([], "a/b").media_type for _ in range(50)}
    assert len(kinds) == 50


@settings(max_examples=40)
@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_a_value_is_quoted_where_it_has_to_be(value: str) -> None:
    (read,) = ranges(f"a/b; x={quoted(value)}")
    assert read.parameters == {"x": value}
    assert (quoted(value) == value) == (bool(value) and not set(value) & set('()<>@,;:\\"/[]?={} '))


def rich() -> Dataset:
    """Values of all kinds, in sequences too."""
    made = small(1, 1, scene())
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "R-10202", "SRT", "frontal"
    item.add_new(0x00280106, "US", 7)  # US or SS
    inner = Dataset()
    inner.ReferencedFrameNumber, inner.FrameOfReferenceUID = [1, 2], "1.2.3"
    item.ReferencedImageSequence = [inner, Dataset(inner)]
    made.ViewCodeSequence = [item]
    made.ConceptNameCodeSequence = []
    made.add_new(0x00090010, "LO", "MAKER")
    made.add_new(0x00091001, "UN", b"\x01\x02\x03\x04")
    made.PixelSpacing, made.WindowCenter, made.ExposureTime = [0.139, 0.139], "2048", 12
    made.SmallestImagePixelValue, made.LargestImagePixelValue = 0, 4095
    made.FrameIncrementPointer = 0x00181063
    made.add_new(0x00189073, "FD", 1.25)
    made.add_new(0x00189461, "FL", [0.5, -2.0])
    made.add_new(0x00282000, "OB", bytes(range(10)))
    made.add_new(0x00281201, "OW", np.arange(6, dtype="<u2").tobytes())
    made.add_new(0x00720082, "SV", -5)
    return made


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_header_in_another_encoding_says_the_same(tmp_path: Path, syntax: str) -> None:
    made = rich()
    file = kept(made, tmp_path, syntax)
    back = dcmread(BytesIO(b"".join(recode.recoded(file, "1", syntax).chunks())))
    assert back.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    for data_set in (made, back):
        del data_set.PixelData
        data_set[0x00091001].VR = "UN"
    if syntax == ExplicitVRBigEndian:  # pydicom writes these as they are, as if they had been swapped
        assert back[0x00281201].value == np.arange(6, dtype=">u2").tobytes()
        del back[0x00281201], made[0x00281201]
    assert back == made


def kept(made: Dataset, folder: Path, syntax: str) -> Path:
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    dcmwrite(
        folder / "a.dcm", made, implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian, enforce_file_format=True,
    )  # fmt: skip
    return folder / "a.dcm"


def fragmented(layout: str, tmp_path: Path) -> frames.Frames:
    """Three frames of JPEG 2000 whose fragments are told in one way or another."""
    made = small(1, 1, FRAMES)
    streams = [bytes(CODED[JPEG2000Lossless](frame)) for frame in FRAMES]
    if layout == "extended":
        made.PixelData, made.ExtendedOffsetTable, made.ExtendedOffsetTableLengths = encapsulate_extended(
            streams
        )
    else:
        pieces = 3 if layout != "one fragment a frame" else 1
        made.PixelData = encapsulate(streams, fragments_per_frame=pieces, has_bot=layout == "table")
    made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
    return frames.locate(kept(made, tmp_path, JPEG2000Lossless), layout)


@pytest.mark.parametrize("layout", ["table", "no table", "one fragment a frame", "extended"])
def test_compressed_frames_are_found_by_their_tables_or_their_ends(tmp_path: Path, layout: str) -> None:
    there = fragmented(layout, tmp_path)
    assert not there.native
    for index, frame in enumerate(FRAMES):
        stream = bytes(CODED[JPEG2000Lossless](frame))
        assert frames.stored(there, index).rstrip(b"\0") == stream.rstrip(b"\0")
        assert np.array_equal(frames.decoded(there, index)[0], frame)


def test_offsets_that_are_wrong_are_said(tmp_path: Path) -> None:
    there = fragmented("table", tmp_path)
    data = there.path.read_bytes()
    at = there.at + 8 + 4
    there.path.write_bytes(data[:at] + b"\xff\xff\xff\x7f" + data[at + 4 :])
    for index in (0, 1, 2):
        try:
            frames.decoded(there, index)
        except ImageError:
            continue
        assert index != 1


COLOURS = np.stack([scene(bits=8), scene(bits=8)[::-1], scene(bits=8)[:, ::-1]], axis=-1).astype(np.uint8)


def coloured(tmp_path: Path, syntax: str, data: bytes, **attributes: Any) -> frames.Frames:
    made = small(
        1, 1, COLOURS[..., 0], SamplesPerPixel=3, PlanarConfiguration=0, PhotometricInterpretation="RGB"
    )
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    made.PixelData = encapsulate([data]) if syntax != ExplicitVRLittleEndian else data
    made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", syntax != ExplicitVRLittleEndian
    frames.locate.cache_clear()
    return frames.locate(kept(made, tmp_path, syntax), "1")


def planes() -> bytes:
    return np.ascontiguousarray(np.moveaxis(COLOURS, -1, 0)).tobytes()


def jpeg() -> bytes:
    options = {"colorspace": "RGB", "outcolorspace": "YCBCR", "subsampling": "444"}
    return bytes(imagecodecs.jpeg8_encode(COLOURS, level=100, **options))


CODINGS = {
    "by pixel": (ExplicitVRLittleEndian, COLOURS.tobytes(), {}, 0),
    "by plane": (ExplicitVRLittleEndian, planes(), {"PlanarConfiguration": 1}, 0),
    "JPEG": (JPEGBaseline8Bit, jpeg(), {"PhotometricInterpretation": "YBR_FULL"}, 12),
    "JPEG 2000": (
        JPEG2000Lossless,
        bytes(imagecodecs.jpeg2k_encode(COLOURS, codecformat="j2k", level=0, reversible=True)),
        {"PhotometricInterpretation": "YBR_RCT"},
        0,
    ),
}


@pytest.mark.parametrize("name", CODINGS)
def test_colours_are_shown_however_they_are_coded(tmp_path: Path, name: str) -> None:
    syntax, data, attributes, tolerance = CODINGS[name]
    there = coloured(tmp_path, syntax, data, **attributes)
    shown, _ = picture.picture(there, 0)
    assert np.abs(shown.astype(int) - COLOURS).max() <= tolerance
    back = dcmread(BytesIO(b"".join(recode.recoded(there.path, "1", syntax).chunks())))
    assert (back.PlanarConfiguration, back.SamplesPerPixel) == (attributes.get("PlanarConfiguration", 0), 3)
    assert np.abs(back.pixel_array.astype(int) - COLOURS).max() <= (255 if name == "JPEG" else 0)
    assert back.PhotometricInterpretation == ("YBR_FULL" if name == "JPEG" else "RGB")


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    made = small(1, 1, COLOURS[..., 0], PhotometricInterpretation="PALETTE COLOR")
    tables = [
        np.arange(256, dtype=np.uint16),
        np.arange(256, dtype=np.uint16)[::-1],
        np.full(256, 9, np.uint16),
    ]
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        setattr(made, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(made, f"{name}PaletteColorLookupTableData", (table << 8).astype("<u2").tobytes())
    shown, _ = picture.picture(frames.locate(kept(made, tmp_path, ExplicitVRLittleEndian), "palette"), 0)
    assert np.array_equal(shown, np.stack([table[COLOURS[..., 0]] for table in tables], axis=-1))


def test_what_is_no_picture_is_said(tmp_path: Path) -> None:
    made = small(1, 1, scene(), Rows=30)
    with pytest.raises(ImageError, match=r"\d"):
        picture.picture(frames.locate(kept(made, tmp_path, ExplicitVRLittleEndian), "short"), 0)
    with pytest.raises(ImageError):
        frames.native(frames.locate(kept(made, tmp_path, ExplicitVRLittleEndian), "short"), 0, "")


EDITS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6)
SYNTAXES = (*NATIVE, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless)


def whole(syntax: str) -> tuple[bytes, bytes]:
    """Meta information and data set."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        syntax,
        "1.2",
        "1.2",
    )
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta)
    return bytes(128) + b"DICM" + buffer.getvalue(), as_bytes(rich(), syntax)


WHOLE = {syntax: whole(syntax) for syntax in SYNTAXES}


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(SYNTAXES), EDITS, st.floats(0.5, 1), st.booleans())
def test_a_damaged_file_is_said_to_be_one(
    tmp_path_factory: pytest.TempPathFactory,
    syntax: str,
    edits: list[tuple[float, int]],
    left: float,
    header: bool,
) -> None:
    meta, data = WHOLE[syntax][0], bytearray(WHOLE[syntax][1])
    for where, value in edits:  # more of them in the header, where more depends on each
        data[int(where * min(len(data), 900 if header else len(data)))] = value
    file = tmp_path_factory.getbasetemp() / "damaged.dcm"
    file.write_bytes(meta + data[: int(len(data) * left)])
    frames.locate.cache_clear()
    steps: tuple[Callable[[], object], ...] = (
        lambda: b"".join(recode.recoded(file, "", syntax).chunks()),
        lambda: document.page(file, syntax),
        lambda: document.pdf(file, syntax),
        lambda: bulk.element(file, syntax, "00281201"),
        lambda: b"".join(frames.native(frames.locate(file, ""), 0, "").chunks()),
        lambda: frames.stored(frames.locate(file, ""), 0),
        lambda: picture.picture(frames.locate(file, ""), 0),
        lambda: segmented.read(frames.locate(file, "")),
    )
    for step in steps:
        with suppress(ImageError, BrokenOffError):
            step()
