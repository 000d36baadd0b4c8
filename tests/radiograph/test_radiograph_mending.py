"""Headers against the standard that other readers read: VRs that are none, and group 0002 in the data set."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
)
from radiograph_files import image, ramp, write

from xrv_node import frontal
from xrv_node.errors import ImageError
from xrv_node.radiograph import elements, mending
from xrv_node.radiograph.header import read_header, read_object, transfer_syntax
from xrv_node.radiograph.read import read

LONG = {b"OB", b"OW", b"SQ", b"UC", b"UN", b"UT"}
ODD = [b"  ", b"\0\0", b"??", b"cs", b"\x06\0", b"OX", b"Cs", b"--"]
PIXELS = 0x7FE00010


def coded(*inner: Dataset) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "399348003", "SCT", "antero-posterior"
    if inner:
        item.ViewModifierCodeSequence = list(inner)
    return item


def sample(path: Path, syntax: str = ExplicitVRLittleEndian, *, undefined: bool = False) -> Path:
    """An image with sequences in sequences, private elements, and text and numbers of every length."""
    dataset = image(
        ramp(12), 12, SpecificCharacterSet="ISO_IR 192", ViewPosition="AP", BodyPartExamined="CHEST",
        SeriesDescription="Thorax ap", ImageComments="x" * 300, WindowCenter="2000", WindowWidth="3000",
        ViewCodeSequence=[coded(coded(), coded()), coded()], PixelAspectRatio=[1, 1], LossyImageCompression="00",
        TextValue="long text",
    )  # fmt: skip
    for item in dataset.ViewCodeSequence:
        item.is_undefined_length_sequence_item = undefined
    dataset["ViewCodeSequence"].is_undefined_length = undefined
    block = dataset.private_block(0x0029, "XRV TEST", create=True)
    block.add_new(1, "LO", "private text")
    block.add_new(2, "UN", bytes(7))
    block.add_new(3, "SQ", [coded()])
    return write(dataset, path, syntax)


def places(data: bytes, place: int, end: int, order: str = "<") -> Iterator[tuple[int, int, bytes]]:
    """Where the elements of a whole data set in explicit VR begin, those of its items too, with tag and VR."""
    while place < end:
        group, element, vr, length = struct.unpack_from(order + "HH2sH", data, place)
        tag, value = group << 16 | element, place + 8
        if group == 0xFFFE:  # what an item holds follows it
            place = value
            continue
        yield place, tag, vr
        if tag == PIXELS:
            return
        if vr in LONG:
            (length,) = struct.unpack_from(order + "L", data, place + 8)
            value += 4
        place = value if vr == b"SQ" else value + length


def body(data: bytes) -> int:
    """Where the data set of a file begins."""
    return 144 + int(struct.unpack_from("<L", data, 140)[0])


def told(header: Dataset) -> dict[int, str]:
    """All that a header says, but for the VRs and the private elements, which nobody reads."""
    return {
        int(element.tag): str(element.value) if element.VR != "SQ" else str([told(i) for i in element.value])
        for element in header
        if not element.tag.is_private and element.tag != PIXELS
    }


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_a_vr_that_is_none_in_any_element_changes_nothing(
    syntax: str, undefined: bool, tmp_path: Path
) -> None:
    path = sample(tmp_path / "image.dcm", syntax, undefined=undefined)
    expected, pixels = told(read_header(path)), read(path).pixels
    assert expected[0x00185101] == "AP"
    whole = path.read_bytes()
    start, order = body(whole), "<>"[syntax == ExplicitVRBigEndian]
    deflated = syntax == DeflatedExplicitVRLittleEndian
    data = zlib.decompress(whole[start:], -zlib.MAX_WBITS) if deflated else whole[start:]
    found = [place for place in places(data, 0, len(data), order) if place[1] != PIXELS]
    assert len(found) > 40
    for number, (place, tag, vr) in enumerate(found):
        odd = ODD[number % len(ODD)]
        changed = data[: place + 4] + odd + data[place + 6 :]
        if deflated:
            deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
            changed = deflate.compress(changed) + deflate.flush()
        path.write_bytes(whole[:start] + changed)
        assert told(read_header(path)) == expected, (hex(tag), vr, odd)
        if number % 7 == 0:
            assert np.array_equal(read(path).pixels, pixels), (hex(tag), vr, odd)


@pytest.mark.parametrize("undefined", [False, True])
def test_several_such_elements_in_one_header_change_nothing(undefined: bool, tmp_path: Path) -> None:
    path = sample(tmp_path / "image.dcm", undefined=undefined)
    expected, data = told(read_header(path)), path.read_bytes()
    found = [place for place, tag, _ in places(data, body(data), len(data)) if tag != PIXELS]
    drawn = random.Random(7)
    for _ in range(40):
        changed = bytearray(data)
        for place in drawn.sample(found, drawn.randint(2, len(found))):
            changed[place + 4 : place + 6] = drawn.choice(ODD)
        path.write_bytes(changed)
        assert told(read_header(path)) == expected


@pytest.mark.parametrize("odd", ODD)
def test_a_writer_that_knows_no_vr(odd: bytes, tmp_path: Path) -> None:
    path = sample(tmp_path / "image.dcm")
    expected, pixels, data = told(read_header(path)), read(path).pixels, bytearray(path.read_bytes())
    for place, tag, vr in places(bytes(data), body(data), len(data)):
        if tag != PIXELS and vr not in LONG:
            data[place + 4 : place + 6] = odd
    path.write_bytes(data)
    assert told(read_header(path)) == expected
    assert np.array_equal(read(path).pixels, pixels)


def test_explicit_vr_where_implicit_was_agreed_is_mended_too(tmp_path: Path) -> None:
    path = sample(tmp_path / "image.dcm")
    expected, data = told(read_header(path)), path.read_bytes()
    wrong = sample(tmp_path / "wrong.dcm", ImplicitVRLittleEndian).read_bytes()
    tag = struct.pack("<HH", 0x0018, 0x5101)
    path.write_bytes(wrong[: body(wrong)] + data[body(data) :].replace(tag + b"CS", tag + b"  "))
    assert told(read_header(path)) == expected


def test_both_lengths_of_an_unknown_vr_are_read(tmp_path: Path) -> None:
    """Two bytes, as of the VRs of old, or four, as of all to come (PS3.5 7.1.2)."""
    path = sample(tmp_path / "image.dcm")
    data, tag = path.read_bytes(), struct.pack("<HH", 0x0018, 0x5101)
    for odd in ODD:
        for length in (struct.pack("<H", 2), struct.pack("<HL", 0, 2)):
            path.write_bytes(data.replace(tag + b"CS\x02\0", tag + odd + length))
            header = read_header(path)
            assert (header.ViewPosition, header.Rows, header.BodyPartExamined) == ("AP", 64, "CHEST")


@pytest.mark.parametrize("length", ["<H", "<HL"])
def test_a_sequence_whose_vr_is_none_has_its_items(length: str, tmp_path: Path) -> None:
    path = sample(tmp_path / "image.dcm")
    data, tag = path.read_bytes(), struct.pack("<HH", 0x0054, 0x0220)
    place = data.index(tag + b"SQ")
    (size,) = struct.unpack_from("<L", data, place + 8)
    head = tag + b"??" + (struct.pack(length, size) if length == "<H" else struct.pack(length, 0, size))
    path.write_bytes(data[:place] + head + data[place + 12 :])
    header = read_header(path)
    assert [item.CodeValue for item in header.ViewCodeSequence] == ["399348003"] * 2
    assert header.Rows == 64
    assert "ViewCodeSequence" in {evidence.attribute for evidence in frontal.decide(header).evidence}


def test_the_meta_information_may_have_such_a_vr_too(tmp_path: Path) -> None:
    path = sample(tmp_path / "image.dcm", ExplicitVRBigEndian)
    pixels, data = read(path).pixels, path.read_bytes()
    for odd in ODD:
        path.write_bytes(data.replace(b"\x02\0\x10\0UI", b"\x02\0\x10\0" + odd))
        assert transfer_syntax(read_header(path)) == ExplicitVRBigEndian
        assert np.array_equal(read(path).pixels, pixels)


@pytest.mark.parametrize("vr", [b"OB", b"UN", b"LO", b"SH", b"??", b"UT"])
def test_a_character_set_with_another_vr_is_one(vr: bytes, tmp_path: Path) -> None:
    path = write(
        image(ramp(12), 12, SpecificCharacterSet="ISO_IR 192", SeriesDescription="胸部正位"),
        tmp_path / "i.dcm",
    )
    data, tag = path.read_bytes(), b"\x08\0\x05\0"
    place = data.index(tag + b"CS")
    value = data[place + 8 : place + 18]
    head = tag + vr + (struct.pack("<HL", 0, 10) if vr in LONG else struct.pack("<H", 10))
    path.write_bytes(data[:place] + head + value + data[place + 18 :])
    for header in (read_header(path), read_object(path)):
        assert header.SeriesDescription == "胸部正位"
        assert header.SpecificCharacterSet == "ISO_IR 192"


def foreign(tag: int, value: bytes, syntax: str, *, implicit: bool) -> bytes:
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if implicit:
        return head + struct.pack(order + "L", len(value)) + value
    vr = {0x00020000: b"UL", 0x00020001: b"OB", 0x00020102: b"OB"}.get(
        tag, b"UI" if tag < 0x00020013 else b"SH"
    )
    return (
        head
        + vr
        + (struct.pack(order + "HL", 0, len(value)) if vr == b"OB" else struct.pack(order + "H", len(value)))
        + value
    )


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian],
)
def test_meta_information_within_the_data_set_is_not_believed(
    syntax: str, implicit: bool, tmp_path: Path
) -> None:
    path = sample(tmp_path / "image.dcm", syntax)
    expected, pixels, whole = told(read_header(path)), read(path).pixels, path.read_bytes()
    wrong = {
        0x00020000: struct.pack("<L", 28), 0x00020001: b"\0\1", 0x00020002: b"1.2.3\0", 0x00020003: b"1.2.4\0",
        0x00020010: JPEGLosslessSV1.encode(), 0x00020012: b"1.2.5\0", 0x00020013: b"ACME", 0x00020100: b"1.2.6\0",
        0x00020102: b"secret",
    }  # fmt: skip
    start = body(whole)
    deflated = syntax == DeflatedExplicitVRLittleEndian
    data = zlib.decompress(whole[start:], -zlib.MAX_WBITS) if deflated else whole[start:]
    for chosen in (
        ([tag] for tag in wrong),
        [[*wrong]],
        [[0x00020000, 0x00020010]],
        [[0x00020013, 0x00020002]],
    ):
        for tags in chosen:
            changed = b"".join(foreign(tag, wrong[tag], syntax, implicit=implicit) for tag in tags) + data
            if deflated:
                deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
                changed = deflate.compress(changed) + deflate.flush()
            path.write_bytes(whole[:start] + changed)
            header = read_header(path)
            assert transfer_syntax(header) == syntax, tags
            assert told(header) == expected, tags
            assert np.array_equal(read(path).pixels, pixels), tags


def test_a_group_length_that_is_wrong_hides_no_transfer_syntax(tmp_path: Path) -> None:
    path = sample(tmp_path / "image.dcm", ExplicitVRBigEndian)
    pixels, data = read(path).pixels, bytearray(path.read_bytes())
    for length in (0, 14, 26, 40, 10_000, 0xFFFFFFFF):  # 14: the end of the version
        data[140:144] = struct.pack("<L", length)
        path.write_bytes(data)
        assert transfer_syntax(read_header(path)) == ExplicitVRBigEndian
        assert np.array_equal(read(path).pixels, pixels)


@pytest.mark.parametrize("length", [True, False])
def test_meta_information_may_be_out_of_order(length: bool, tmp_path: Path) -> None:
    path = sample(tmp_path / "image.dcm", ExplicitVRBigEndian)
    data = path.read_bytes()
    start, (size,) = (
        data.index(b"\x02\0\x10\0UI"),
        struct.unpack_from("<H", data, data.index(b"\x02\0\x10\0UI") + 6),
    )
    stated, syntax = data[132:144], data[start : start + 8 + size]
    rest = data[144:start] + data[start + 8 + size : body(data)]
    path.write_bytes(data[:132] + (stated if length else b"") + rest + syntax + data[body(data) :])
    header = read_header(path)
    assert transfer_syntax(header) == ExplicitVRBigEndian
    assert header.file_meta.MediaStorageSOPInstanceUID == header.SOPInstanceUID
    assert header.ViewPosition == "AP"


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian])
def test_a_header_as_it_should_be_is_left_alone(syntax: str, tmp_path: Path) -> None:
    path = sample(tmp_path / "image.dcm", syntax)
    with path.open("rb") as file:
        found = mending.survey(file, 132)
    assert (found.edits, found.lost) == ([], None)
    if syntax != ImplicitVRLittleEndian:
        assert path.read_bytes()[found.end :][:2] in (b"\xe0\x7f", b"\x7f\xe0")


def test_implicit_items_of_an_explicit_data_set_are_left_alone(tmp_path: Path) -> None:
    """Some writers change within sequences; of VR UN and undefined length it is the rule (PS3.5 6.2.2 note 2)."""
    inner = io.BytesIO()
    coded(coded()).save_as(inner, implicit_vr=True, little_endian=True)
    path = sample(tmp_path / "image.dcm")
    data, tag = path.read_bytes(), struct.pack("<HH", 0x0054, 0x0220)
    place = data.index(tag + b"SQ")
    (size,) = struct.unpack_from("<L", data, place + 8)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(inner.getvalue())) + inner.getvalue()
    end = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    for vr, length, items in (
        (b"SQ", len(item), item),
        (b"SQ", 0xFFFFFFFF, item + end),
        (b"UN", 0xFFFFFFFF, item + end),
    ):
        made = tag + vr + struct.pack("<HL", 0, length) + items
        path.write_bytes(data[:place] + made + data[place + 12 + size :])
        with path.open("rb") as file:
            assert mending.survey(file, 132).edits == []
        header = read_header(path)
        assert header.ViewCodeSequence[0].ViewModifierCodeSequence[0].CodeValue == "399348003"
        assert header.Rows == 64


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_where_the_way_is_lost_before_the_uids_is_said(keyword: str, tmp_path: Path) -> None:
    path = sample(tmp_path / "image.dcm")
    data = path.read_bytes()
    place = data.index(b"\x10\0\x20\0LO")  # the last element before them
    assert place < data.index(b"\x20\0\x0d\0UI")
    path.write_bytes(data[: place + 4] + b"??\xff\xfe" + data[place + 8 :])
    with pytest.raises(ImageError) as caught:
        read_header(path)
    assert str(caught.value).startswith(
        f"The header cannot be followed beyond (0010,0020), at byte {place}:"
    ), keyword


def test_a_place_behind_the_uids_is_said_where_the_pixels_are_missing_for_it(tmp_path: Path) -> None:
    path = sample(tmp_path / "image.dcm")
    data = path.read_bytes()
    place = data.index(b"\x28\0\x10\0US")
    path.write_bytes(data[: place + 4] + b"\0\0\xff\xff" + b"\xff" * 200)
    assert read_header(path).StudyInstanceUID
    with pytest.raises(ImageError, match=rf"\(0028,0010\), at byte {place}:"):
        read(path)


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from([ExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian]),
    st.lists(
        st.tuples(
            st.floats(0, 1, exclude_max=True), st.sampled_from([b"  ", b"\xff", b"\0", b"SQ", b"\xfe\xff"])
        ),
        max_size=8,
    ),
)
def test_whatever_the_bytes_are_a_survey_ends(
    tmp_path: Path, syntax: str, damage: list[tuple[float, bytes]]
) -> None:
    path = tmp_path / f"{syntax}.dcm"
    data = bytearray((path if path.exists() else sample(path, syntax)).read_bytes())
    for where, value in damage:
        at = 132 + int(where * 1500)
        data[at : at + len(value)] = value
    source = io.BytesIO(data)
    found = mending.survey(source, 132)
    assert 0 <= found.end <= len(data)
    assert all(a.end <= b.start for a, b in zip(found.edits, found.edits[1:], strict=False))
    assert mending.mended(source, found.edits).read()


def test_no_more_than_so_many_elements_are_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = sample(tmp_path / "image.dcm")
    data = path.read_bytes()
    place = data.index(b"\x28\0\x10\0US")
    path.write_bytes(data[: place + 4] + b"??" + data[place + 6 :])
    for most, edits in ((elements.MAX_ELEMENTS, 1), (5, 0)):
        monkeypatch.setattr(elements, "MAX_ELEMENTS", most)
        with path.open("rb") as file:
            assert len(mending.survey(file, 132).edits) == edits
