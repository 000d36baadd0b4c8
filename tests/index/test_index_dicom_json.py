"""Headers as DICOM JSON, whatever they hold."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import radiograph
from pydicom import DataElement, Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from xrv_node.index import dicom_json, header
from xrv_node.index.header import written


def shown(dataset: Dataset, **options: Any) -> dict[str, Any]:
    """A header as JSON, through its text: it is UTF-8, and no number is none."""
    text = written(dicom_json.of(dataset, **options))
    found: dict[str, Any] = json.loads(text.encode("utf-8"), parse_constant=pytest.fail)
    return found


def raw(tag: int, vr: str, value: bytes) -> Dataset:
    """A header with one element as it came, and one that is sound."""
    dataset = Dataset()
    dataset[Tag(tag)] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)
    dataset.PatientID = "P"
    return dataset


@pytest.mark.parametrize(
    ("tag", "vr", "value", "element"),
    [
        (0x00101030, "DS", b"80.5 ", {"vr": "DS", "Value": [80.5]}),
        (0x00181164, "DS", b"0.14\\nonsense\\NaN\\1e999\\2 ", {"vr": "DS", "Value": [0.14, None, None, None, 2]}),
        (0x00101030, "DS", b"nonsense", {"vr": "DS"}),
        (0x00200013, "IS", b"1\\x\\3", {"vr": "IS", "Value": [1, None, 3]}),
        (0x00200013, "IS", b"", {"vr": "IS"}),
        (0x00280010, "US", b"\1", {"vr": "US"}),
        (0x00280010, "US", b"\0\2", {"vr": "US", "Value": [512]}),
        (0x00189087, "FD", b"\0\0\0\0\0\0\xf8\x7f", {"vr": "FD", "Value": [None]}),
        (0x00280009, "AT", b"\x18\0\x63\x10", {"vr": "AT", "Value": ["00181063"]}),
        (0x00100010, "PN", b"A^B=\xe5\xe5=C", {"vr": "PN"}),
        (0x00080070, "LO", b"<script>alert(1)</script>", {"vr": "LO", "Value": ["<script>alert(1)</script>"]}),
        (0x00080008, "CS", b"ORIGINAL\\\\PRIMARY", {"vr": "CS", "Value": ["ORIGINAL", None, "PRIMARY"]}),
        (0x00091001, "UN", b"\1\2", {"vr": "UN", "InlineBinary": "AQI="}),
        (0x00091001, "OB", b"\1" * 2000, {"vr": "OB", "BulkDataURI": "xrv-node:bulk/00091001"}),
    ],
)  # fmt: skip
def test_a_value_is_as_annex_f_has_it_and_a_damaged_one_costs_only_itself(
    tag: int, vr: str, value: bytes, element: dict[str, Any]
) -> None:
    found = shown(raw(tag, vr, value))
    assert found["00100020"] == {"vr": "LO", "Value": ["P"]}
    if vr == "PN":  # bytes of no character set are text all the same
        assert found["00100010"]["Value"][0]["Alphabetic"] == "A^B"
    elif element.get("Value") == [None]:
        assert found[f"{tag:08X}"] in (element, {"vr": vr})
    else:
        assert found[f"{tag:08X}"] == element


def test_what_is_left_out_and_what_is_said_of_the_character_set() -> None:
    dataset = radiograph(PatientName="Äneas^Ö", SpecificCharacterSet="ISO_IR 100")
    dataset[0x00080000] = DataElement(0x00080000, "UL", 5)
    dataset[0x00020010] = DataElement(0x00020010, "UI", "1.2")
    del dataset.PixelData
    found = shown(dataset, passed_over=[0x00420011, 0x00700001])
    assert not {"00080000", "00020010"} & found.keys()
    assert found["00080005"]["Value"] == ["ISO_IR 192"]
    assert found["00100010"]["Value"] == [{"Alphabetic": "Äneas^Ö"}]
    assert found["00420011"] == {"vr": "OB", "BulkDataURI": "xrv-node:bulk/00420011"}
    assert found["00700001"] == {"vr": "SQ"}
    assert list(found) == sorted(found)


def test_binary_values_within_sequences_say_the_way_to_them() -> None:
    inner, outer, dataset = Dataset(), Dataset(), Dataset()
    inner.add_new(0x00420011, "OB", b"\1" * 3000)
    outer.IconImageSequence = Sequence([Dataset(), inner])
    dataset.ReferencedImageSequence = Sequence([outer])
    found = shown(dataset)["00081140"]["Value"][0]["00880200"]["Value"]
    assert found == [
        {},
        {"00420011": {"vr": "OB", "BulkDataURI": "xrv-node:bulk/00081140/1/00880200/2/00420011"}},
    ]


def test_halves_of_surrogate_pairs_are_no_text() -> None:
    dataset = Dataset()
    dataset.PatientComments = "a\ud800b"
    dataset.SeriesDescription = 'x"],"00100010":{'
    found = shown(dataset)
    assert found["00104000"]["Value"] == ["a?b"]
    assert found["0008103E"]["Value"] == ['x"],"00100010":{']


TAGS = st.sampled_from(
    [0x00100010, 0x00101030, 0x00200013, 0x00280010, 0x00189087, 0x00091001, 0x00081140, 0x00280009]
)
VRS = st.sampled_from(
    ["PN", "DS", "IS", "US", "FD", "UN", "SQ", "AT", "LO", "OB", "UI", "DA", "TM", "OW", "XX"]
)


@settings(max_examples=100, deadline=None)
@given(TAGS, VRS, st.binary(max_size=40))
def test_no_value_breaks_a_header(tag: int, vr: str, value: bytes) -> None:
    assert shown(raw(tag, vr, value))["00100020"] == {"vr": "LO", "Value": ["P"]}


def test_a_header_survives_the_way_back(data: Path) -> None:
    """What pydicom reads of our JSON is what it reads of the file."""
    compared = 0
    for file in sorted(data.rglob("*.dcm"))[:25]:
        dataset = dcmread(file, force=True, stop_before_pixels=True)
        if "SOPInstanceUID" not in dataset:
            continue
        known = {"SOPInstanceUID": str(dataset.SOPInstanceUID)}
        kept = header.read(file, known)
        back = Dataset.from_json(written(kept.attributes), lambda *_: b"")
        for element in dataset:
            sound = element.tag.group > 2 and element.tag.element and element.tag != 0x00080005
            if sound and element.keyword and element.VR in ("PN", "CS", "UI", "DA", "SH", "US"):
                assert str(back[element.tag].value) == str(element.value), (file.name, element.keyword)
                compared += 1
    assert compared > 200


def test_a_large_structured_report_is_kept_whole(tmp_path: Path) -> None:
    """Far beyond what is looked at of a header that comes in."""
    dataset = radiograph()
    items = []
    for number in range(3000):
        item = Dataset()
        item.ValueType, item.TextValue = "TEXT", f"finding {number}"
        items.append(item)
    dataset.ContentSequence = Sequence(items)
    buffer = BytesIO()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(buffer, enforce_file_format=True)
    (tmp_path / "sr.dcm").write_bytes(buffer.getvalue())
    kept = header.read(tmp_path / "sr.dcm", {"SOPInstanceUID": str(dataset.SOPInstanceUID)})
    assert len(kept.attributes["0040A730"]["Value"]) == 3000
    assert kept.pixel_length == len(dataset.PixelData)
    assert buffer.getvalue()[kept.pixel_offset :][:8] == dataset.PixelData[:8]
