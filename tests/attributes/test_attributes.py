"""A header may hold anything: every reader returns what it understood and never raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydicom import DataElement, Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from xrv_node.attributes import LONGEST, MANY, codes, integer, items, number, numbers, text, values


def header(**fields: Any) -> Dataset:
    made = Dataset()
    for keyword, value in fields.items():
        setattr(made, keyword, value)
    return made


def damaged(keyword: str, vr: str, value: bytes) -> Dataset:
    """With an element as a parser leaves it until somebody looks."""
    made, tag = Dataset(), Tag(keyword)
    made._dict[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    return made


READERS: list[tuple[Callable[[Dataset, str], Any], Any]] = [
    (values, ()),
    (text, ""),
    (integer, 0),
    (number, None),
    (lambda h, k: numbers(h, k, 2), None),
    (items, []),
    (codes, ()),
]


@pytest.mark.parametrize(("reader", "nothing"), READERS)
@pytest.mark.parametrize(
    "made",
    [
        Dataset(),
        header(Rows=None),
        damaged("Rows", "US", b"\x01"),
        damaged("Rows", "SQ", b"\xfe\xff\x00\xe0\x10\x00"),
        damaged("Rows", "FD", b"\x00\x00"),
    ],
)
def test_what_is_not_there_or_cannot_be_read_is_nothing(
    reader: Callable[[Dataset, str], Any], nothing: Any, made: Dataset
) -> None:
    assert reader(made, "Rows") == nothing


@pytest.mark.parametrize(("reader", "nothing"), READERS[2:])
@pytest.mark.parametrize("value", [b"1.5.2", b"--", b"nan", b"\xb2"])
def test_what_is_no_number_is_none(reader: Callable[[Dataset, str], Any], nothing: Any, value: bytes) -> None:
    assert reader(damaged("Rows", "LO", value), "Rows") == nothing


def test_several_values_keep_their_places_and_lose_their_padding() -> None:
    made = header(ImageType=["DERIVED ", "", " SECONDARY\0"], PatientOrientation=["", ""])
    assert values(made, "ImageType") == ("DERIVED", "", "SECONDARY")
    assert text(made, "ImageType") == "DERIVED\\\\SECONDARY"
    assert text(made, "PatientOrientation") == ""


def test_a_name_is_one_value_and_bytes_are_read() -> None:
    assert text(header(PatientName="Doe^Jane "), "PatientName") == "Doe^Jane"
    made = Dataset()
    made.add(DataElement("PixelPaddingValue", "OW", b"\xe4b "))
    assert text(made, "PixelPaddingValue") == "äb"


def test_there_is_a_bound_on_what_is_read() -> None:
    made = header(PatientComments="x" * 1000, ImageType=["A"] * 1000)
    assert len(text(made, "PatientComments")) == LONGEST
    assert len(values(made, "ImageType")) == MANY


def test_numbers_are_finite() -> None:
    made = header(WindowCenter=[40, 50], RescaleSlope="1.5", InstanceNumber="7", KVP="inf", ViewPosition="PA")
    assert (number(made, "WindowCenter"), numbers(made, "WindowCenter", 2)) == (40, (40, 50))
    assert (number(made, "RescaleSlope"), integer(made, "RescaleSlope")) == (1.5, 0)
    assert integer(made, "InstanceNumber") == 7
    assert [number(made, keyword) for keyword in ("KVP", "ViewPosition")] == [None, None]
    assert numbers(made, "WindowCenter", 3) is None
    assert number(damaged("Rows", "US", b"\x02\x00\x03\x00"), "Rows") == 2


def test_codes_are_read_with_their_modifiers() -> None:
    modifier = header(CodeValue="399348003", CodingSchemeDesignator="sct", CodeMeaning="Antero-posterior")
    code = header(CodeValue="R-10206", CodingSchemeDesignator="SNM3", CodeMeaning="frontal")
    code.ViewModifierCodeSequence = [modifier]
    made = header(ViewCodeSequence=[code])
    assert [code.name for code in codes(made, "ViewCodeSequence")] == ["SRT:R-10206", "SCT:399348003"]
    assert text(made, "ViewCodeSequence") == "frontal Antero-posterior"
