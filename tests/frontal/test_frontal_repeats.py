"""Several images of one exposure: headers as devices and workstations write them."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from frontal_headers import header
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from xrv_node.frontal.repeats import Repeat, repeats

DX = "1.2.840.10008.5.1.4.1.1.1.1"
SC = "1.2.840.10008.5.1.4.1.1.7"


def exposure(number: int, **attributes: Any) -> Dataset:
    """An image of the exposure at 08:15:12 on one detector, as a DX unit sends it."""
    stated = {
        "SOPClassUID": DX, "SOPInstanceUID": f"1.2.3.{number}", "ImageType": ["ORIGINAL", "PRIMARY"],
        "PresentationIntentType": "FOR PRESENTATION", "AcquisitionDate": "20260105", "AcquisitionTime": "081512.25",
        "StudyTime": "081000", "DetectorID": "FD-0815", "DeviceSerialNumber": "4711", "StationName": "DX1",
        "ViewPosition": "PA", "KVP": "125", "Exposure": "2", "ContentDate": "20260105", "ContentTime": "081513",
        "InstanceNumber": 1, "AcquisitionNumber": 1, "Rows": 2500, "Columns": 2048,
    }  # fmt: skip
    stated |= attributes
    made = header(**{keyword: value for keyword, value in stated.items() if value is not None})
    for keyword, value in stated.items():
        if value is None and keyword in made:
            delattr(made, keyword)
    return made


def made_from(*uids: str) -> list[Dataset]:
    items = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = DX, uid
        items.append(item)
    return items


def aside(*headers: Dataset) -> list[Repeat]:
    return list(repeats(dict(enumerate(headers, 1))))


@pytest.mark.parametrize(
    ("worse", "says"),
    [
        ({"PresentationIntentType": "FOR PROCESSING"}, "is the one for presentation"),
        ({"PresentationIntentType": None}, "is the one for presentation"),
        ({"SOPClassUID": SC}, "this one is a secondary capture of it"),
        ({"ImageType": ["DERIVED", "PRIMARY"]}, "is the original; this one is derived"),
        ({"ImageType": ["ORIGINAL", "SECONDARY"]}, "is the primary image; this one is secondary"),
        ({"LossyImageCompression": "01"}, "without the losses of this one's compression"),
        ({"Rows": 1250, "Columns": 1024}, "with more pixels"),
        ({"ContentTime": "081512"}, "is the latest"),
        ({}, "nothing in the headers makes either the better"),
    ],
)
def test_the_better_one_is_chosen_whichever_comes_first(worse: dict[str, Any], says: str) -> None:
    best, other = exposure(1), exposure(2, **worse)
    (repeat,) = aside(best, other)
    assert (repeat.number, repeat.chosen) == (2, 1)
    assert says in str(repeat.reason)
    assert str(repeat.reason).startswith("Image 1 shows the same exposure")
    assert repeat.evidence.attribute == "AcquisitionTime"
    if worse:
        (turned,) = aside(other, best)
        assert (turned.number, turned.chosen) == (1, 2)


def test_an_earlier_ground_outweighs_the_later_ones() -> None:
    raw = exposure(1, PresentationIntentType="FOR PROCESSING", ContentTime="090000", Rows=4000)
    processed = exposure(2, ImageType=["DERIVED", "PRIMARY"], SourceImageSequence=made_from("1.2.3.1"))
    (repeat,) = aside(raw, processed)
    assert repeat.number == 1
    assert repeat.evidence.attribute == "SourceImageSequence"


def test_two_windows_and_a_tube_copy_of_one_exposure_leave_one() -> None:
    images = {
        1: exposure(1, InstanceNumber=1),
        2: exposure(2, InstanceNumber=2, SeriesDescription="Lung window"),
        3: exposure(3, InstanceNumber=3, ImageType=["DERIVED", "PRIMARY", "", "CATHETER"]),
    }
    for order in permutations(images):
        found = repeats({n: images[n] for n in order})
        assert {r.number: r.chosen for r in found} == {1: 2, 3: 2}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"AcquisitionTime": "081640"}, id="a repeat a minute later"),
        pytest.param({"ViewPosition": "AP"}, id="another view"),
        pytest.param({"Exposure": "4"}, id="another dose"),
        pytest.param({"AcquisitionNumber": 2}, id="another acquisition"),
        pytest.param({"DetectorID": "FD-0816"}, id="another detector"),
        pytest.param({"PatientID": "OTHER"}, id="another patient"),
        pytest.param({"AcquisitionTime": "0815"}, id="no seconds"),
        pytest.param({"AcquisitionTime": None, "AcquisitionDate": None}, id="no time"),
        pytest.param({"DetectorID": None, "DeviceSerialNumber": None, "StationName": None}, id="no detector"),
    ],
)
def test_what_is_not_certainly_one_exposure_is_two(other: dict[str, Any]) -> None:
    assert aside(exposure(1), exposure(2, **other)) == []


def test_a_device_that_writes_the_study_s_time_into_each_image_says_nothing() -> None:
    assert aside(exposure(1, StudyTime="081512"), exposure(2, StudyTime="081512")) == []


def test_supine_and_later_upright_are_both_reported_and_so_are_two_halves() -> None:
    supine = exposure(1, ViewPosition="AP", AcquisitionTime="060102")
    upright = exposure(2)
    upper = exposure(3, AcquisitionTime="081702", ImageLaterality="R")
    lower = exposure(4, AcquisitionTime="081729", ImageLaterality="L")
    assert aside(supine, upright, upper, lower) == []


@pytest.mark.parametrize("keyword", ["IrradiationEventUID", "AcquisitionUID"])
def test_an_exposure_that_is_named_needs_no_time(keyword: str) -> None:
    named: dict[str, Any] = {keyword: "1.2.3.99", "AcquisitionTime": None}
    (repeat,) = aside(exposure(1, **named), exposure(2, **named, LossyImageCompression="01"))
    assert (repeat.evidence.attribute, repeat.evidence.value) == (keyword, "1.2.3.99")
    assert aside(exposure(1, **named), exposure(2, **(named | {keyword: "1.2.3.98"}))) == []


def test_a_corrected_copy_names_its_source_and_may_correct_the_view() -> None:
    first = exposure(1, ViewPosition="AP")
    copy = exposure(2, SourceImageSequence=made_from("1.2.3.1"), AcquisitionTime=None)
    (repeat,) = aside(first, copy)
    assert (repeat.evidence.attribute, repeat.evidence.value) == ("SourceImageSequence", "1.2.3.1")
    assert aside(first, exposure(2, SourceImageSequence=made_from("1.2.3.1"), PatientID="OTHER")) == []


def test_two_copies_of_a_source_that_did_not_come_are_of_one_exposure() -> None:
    both = {"SourceImageSequence": made_from("1.2.3.100"), "AcquisitionTime": None}
    assert len(aside(exposure(1, **both), exposure(2, **both))) == 1


def test_an_image_of_several_sources_is_of_none_of_them() -> None:
    stitched = exposure(3, SourceImageSequence=made_from("1.2.3.1", "1.2.3.2"), AcquisitionTime=None)
    assert aside(exposure(1), exposure(2, AcquisitionTime="081640"), stitched) == []


ANY = st.fixed_dictionaries(
    {},
    optional={
        "AcquisitionTime": st.sampled_from(["081512.25", "081640", "", "x", None]),
        "IrradiationEventUID": st.sampled_from(["1.2", "1.3", ""]),
        "ViewPosition": st.sampled_from(["PA", "AP", ""]),
        "ImageType": st.sampled_from([["DERIVED"], ["ORIGINAL", "PRIMARY"], [""]]),
        "SourceImageSequence": st.sampled_from([made_from("1.2.3.1"), made_from("1.2.3.2"), []]),
    },
)


@given(st.lists(ANY, max_size=6))
def test_whatever_comes_of_each_exposure_one_image_is_left(given_headers: list[dict[str, Any]]) -> None:
    headers = {n: exposure(n, **attributes) for n, attributes in enumerate(given_headers, 1)}
    found = repeats(headers)
    left = set(headers) - {r.number for r in found}
    assert len({r.number for r in found}) == len(found)
    assert {r.chosen for r in found} <= left
    assert bool(left) == bool(headers)
