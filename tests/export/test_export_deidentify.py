"""De-identification by PS3.15 annex E: what goes, what stays, and what an object says of it."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import dciodvfy
import pytest
from exported import VALUES, elements, filled, known, left, node
from made import SECRET, radiograph
from pydicom import DataElement, Dataset, dcmread
from pydicom.datadict import keyword_for_tag
from pydicom.misc import is_dicom

from xrv_node.export import left_out
from xrv_node.export.confidentiality import Options, profile
from xrv_node.export.deidentify import deidentify
from xrv_node.export.remains import holds, identifying

PLAIN = Options()
PATIENT = Options(patient_characteristics=True)
DATES = Options(modified_dates=True)
HOLDERS = ("SharedFunctionalGroupsSequence", "AnatomicRegionSequence", "ContributingEquipmentSequence")
"""Sequences that the profile keeps."""
RECORDED = ("DeidentificationMethod",)
"""What an object says of its own de-identification."""


def done(
    dataset: Dataset, folder: Path, options: Options = PLAIN, *, own: bool = False, key: bytes = b"1"
) -> Dataset:
    """What comes out, read back from the bytes of a file."""
    deidentify(dataset, node(folder, key), options, own=own)
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    file.seek(0)
    return dcmread(file)


def hostile(holder: str | None = None) -> Dataset:
    """An image with every attribute of the table, at the top or below a sequence that stays."""
    dataset = radiograph()
    where = dataset if holder is None else Dataset()
    for tag in known(list(profile().actions)):
        where[tag] = filled(tag)
    if holder is not None:
        setattr(dataset, holder, [where])
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPInstanceUID, dataset.PatientID = VALUES["UI"], f"{SECRET}-4711"
    return dataset


@pytest.mark.parametrize("holder", [None, *HOLDERS])
def test_nothing_is_left_of_any_attribute_of_the_table(holder: str | None, tmp_path: Path) -> None:
    dataset = hostile(holder)
    assert len(left(dataset)) > 550
    assert left(done(dataset, tmp_path)) == []


@pytest.mark.parametrize("holder", [None, *HOLDERS])
def test_dates_are_moved_and_the_rest_goes(holder: str | None, tmp_path: Path) -> None:
    found = done(hostile(holder), tmp_path, DATES)
    assert left(found) == []
    where = found if holder is None else found[holder].value[0]
    assert "2016" <= where.StudyDate < "2025"
    assert where.StudyDate == where.AcquisitionDate
    assert where.StudyTime == where.AcquisitionTime
    assert where.AcquisitionDateTime == where.StudyDate + where.StudyTime
    assert not where.PatientBirthDate


def test_each_attribute_is_treated_as_its_action_says(tmp_path: Path) -> None:
    work = hostile()
    deidentify(work, node(tmp_path), Options())
    wrong = [
        keyword_for_tag(tag)
        for tag in known(list(profile().actions))
        if not _is_as_said(profile().actions[tag], filled(tag), work.get(tag))
    ]
    assert wrong == []


def _is_as_said(action: str, before: DataElement, after: DataElement | None) -> bool:
    if action == "X" or (action == "D" and before.VR == "SQ"):
        return after is None or after.keyword in RECORDED
    if after is None:
        return False
    if action == "Z":
        return after.is_empty or after.keyword == "PatientName"
    if action == "U*":
        return str(after.value[0].ReferencedSOPInstanceUID).startswith("2.25.")
    return (
        str(after.value).startswith("2.25.")
        if before.VR == "UI"
        else not after.is_empty and after.value != before.value
    )


def test_what_no_table_knows_goes_too(tmp_path: Path) -> None:
    dataset = radiograph()
    dataset.private_block(0x0031, "ACME", create=True).add_new(1, "LO", SECRET)
    nested = Dataset()
    nested.private_block(0x0033, "ACME", create=True).add_new(1, "UN", SECRET.encode())
    dataset.AnatomicRegionSequence = [nested]
    for tag, vr, value in (
        (0x60000022, "LO", SECRET), (0x60003000, "OW", SECRET.encode()), (0x60001500, "LO", SECRET),
        (0x50000010, "US", 1), (0x50003000, "OW", SECRET.encode()), (0x00080FFF, "LO", SECRET),
        (0x00020016, "AE", SECRET),
    ):  # fmt: skip
        (dataset.file_meta if tag >> 16 == 2 else dataset)[tag] = DataElement(tag, vr, value)
    dataset.preamble = SECRET.encode().ljust(128)
    found = done(dataset, tmp_path)
    assert left(found) == []
    assert found.preamble == b"\0" * 128
    assert not [
        e for e in elements(found) if e.tag.is_private or (e.tag.group >= 0x5000 and e.tag.group < 0x7000)
    ]
    assert "SourceApplicationEntityTitle" not in found.file_meta


@pytest.mark.parametrize(
    ("charset", "name", "within"),
    [
        ("ISO_IR 100", "Jäger^Zoë", "Aufnahme von JAGER"),
        ("ISO_IR 192", "Škvorecký^Ivo", "skvorecky, im Bett"),
        ("ISO_IR 144", "Люкceмбypг^Анна", "снимок ЛЮКCEМБYPГ"),  # noqa: RUF001
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎丸=やまだ^たろう", "Yamada-san"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동무", "홍 길동무"),
        ("GB18030", "Wang^XiaoMing=王^小明", "给王小明拍片"),
        ("GB18030", "Wang^XiaoDong=王^小东东", "小东东"),
    ],
)
def test_a_name_is_found_again_in_texts_that_the_profile_keeps(
    charset: str | list[str], name: str, within: str, tmp_path: Path
) -> None:
    dataset = radiograph(
        SpecificCharacterSet=charset, PatientName=name, Manufacturer=within, BodyPartExamined="CHEST"
    )
    found = done(dataset, tmp_path)
    assert found.Manufacturer == "REMOVED"
    assert found.BodyPartExamined == "CHEST"
    assert found.PatientName == found.PatientID


def test_identifiers_are_found_again_in_texts(tmp_path: Path) -> None:
    other = Dataset()
    other.PatientID, other.PatientName = "987654", "Other^Name"
    dataset = radiograph(
        AccessionNumber="ACC4711", OtherPatientIDsSequence=[other], ReferringPhysicianName="Doctorow^Edgar",
        Manufacturer="for ACC4711", ManufacturerModelName="id 987654", DetectorConfiguration="DOCTOROW",
    )  # fmt: skip
    found = done(dataset, tmp_path)
    for keyword in ("Manufacturer", "ManufacturerModelName", "DetectorConfiguration"):
        assert found[keyword].value == "REMOVED"


def test_who_a_patient_is_in_one_object_is_who_he_is_in_another(tmp_path: Path) -> None:
    one, two, other = (
        done(radiograph(number, study, PatientID=who), tmp_path, DATES)
        for number, study, who in ((1, 1, "A"), (2, 7, "A"), (1, 2, "B"))
    )
    assert one.PatientID == two.PatientID != other.PatientID
    assert one.StudyDate == two.StudyDate
    assert (one.StudyDate, one.StudyTime) != (other.StudyDate, other.StudyTime)
    assert one.StudyInstanceUID != two.StudyInstanceUID
    again = done(radiograph(1, 1, PatientID="A"), tmp_path, DATES)
    assert again == one
    stranger = done(radiograph(1, 1, PatientID="A"), tmp_path, DATES, key=b"2")
    assert stranger.SOPInstanceUID != one.SOPInstanceUID
    assert stranger.PatientID != one.PatientID


def test_who_has_no_number_is_one_patient_a_study(tmp_path: Path) -> None:
    found = [done(radiograph(n, study, PatientID=None), tmp_path) for n, study in ((1, 1), (2, 1), (1, 2))]
    assert found[0].PatientID == found[1].PatientID == found[0].PatientName
    assert found[2].PatientID not in ("", found[0].PatientID)


def test_no_time_of_day_stays_and_no_date_of_another_year(tmp_path: Path) -> None:
    for number in range(100):
        found = done(radiograph(PatientID=str(number)), tmp_path, DATES)
        assert found.StudyTime != "101010"
        assert "20151231" < found.StudyDate < "20250102"


def test_intervals_between_studies_of_a_patient_stay(tmp_path: Path) -> None:
    from datetime import datetime

    def when(dataset: Dataset) -> datetime:
        return datetime.strptime(dataset.StudyDate + dataset.StudyTime, "%Y%m%d%H%M%S")

    first = done(radiograph(1, 1, StudyDate="20240228", StudyTime="235959"), tmp_path, DATES)
    second = done(radiograph(1, 2, StudyDate="20260101", StudyTime="000001"), tmp_path, DATES)
    assert when(second) - when(first) == datetime(2026, 1, 1, 0, 0, 1) - datetime(2024, 2, 28, 23, 59, 59)


@pytest.mark.parametrize("date", ["2026", "20261399", f"{SECRET}", "00010101", "20260101-20260202"])
def test_what_is_no_date_goes_with_its_time(date: str, tmp_path: Path) -> None:
    dataset = radiograph(StudyTime="101112")
    dataset["StudyDate"] = DataElement("StudyDate", "DA", date, validation_mode=0)
    deidentify(dataset, node(tmp_path), DATES)
    assert date not in str(dataset.StudyDate)
    assert dataset.StudyTime != "101112"


def test_characteristics_are_kept_where_asked_for_and_great_age_is_no_number(tmp_path: Path) -> None:
    plain = done(radiograph(PatientSize="1.7"), tmp_path)
    assert (plain.PatientSex, plain.get("PatientAge"), plain.get("PatientSize")) == ("", None, None)
    kept = done(radiograph(PatientSize="1.7"), tmp_path, PATIENT)
    assert (kept.PatientSex, kept.PatientAge, kept.PatientSize) == ("F", "066Y", 1.7)
    assert not kept.PatientBirthDate
    old = done(radiograph(PatientAge="097Y"), tmp_path, PATIENT)
    assert old.PatientAge == "090Y"


def test_what_was_done_is_recorded_with_the_codes_of_the_standard(tmp_path: Path) -> None:
    found = done(radiograph(), tmp_path, Options(modified_dates=True, patient_characteristics=True))
    assert found.PatientIdentityRemoved == "YES"
    assert found.LongitudinalTemporalInformationModified == "MODIFIED"
    assert [c.CodeValue for c in found.DeidentificationMethodCodeSequence] == ["113100", "113107", "113108"]
    assert {c.CodingSchemeDesignator for c in found.DeidentificationMethodCodeSequence} == {"DCM"}
    assert "Basic Application Confidentiality Profile" in found.DeidentificationMethod
    assert done(radiograph(), tmp_path).LongitudinalTemporalInformationModified == "REMOVED"


def test_pixels_and_what_they_are_read_by_stay(tmp_path: Path) -> None:
    before = radiograph()
    pixels = before.PixelData
    found = done(before, tmp_path)
    assert found.PixelData == pixels
    assert (found.ViewPosition, found.Rows, found.BitsStored) == ("PA", 300, 12)
    assert found.SOPClassUID == before.SOPClassUID


def test_uids_of_the_standard_itself_stay(tmp_path: Path) -> None:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3"
    found = done(
        radiograph(
            FrameOfReferenceUID="1.2.840.10008.1.4.1.1",
            SourceImageSequence=[reference],
            MappingResource="DCMR",
        ),
        tmp_path,
    )
    assert found.FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"
    assert found.SourceImageSequence[0].ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.1"
    assert found.SourceImageSequence[0].ReferencedSOPInstanceUID == node(tmp_path).uid("1.2.3")


def test_the_meaning_of_a_code_of_the_sites_own_goes(tmp_path: Path) -> None:
    def code(value: str, scheme: str, meaning: str) -> Dataset:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
        return item

    sequence = [code("1", "99RIS", "for Dr Who"), code("2", "L", "bed 7"), code("51185008", "SCT", "Chest")]
    found = done(radiograph(AnatomicRegionSequence=sequence), tmp_path)
    assert [c.CodeMeaning for c in found.AnatomicRegionSequence] == ["REMOVED", "REMOVED", "Chest"]


def test_real_radiographs_are_without_new_errors(data: Path, tmp_path: Path) -> None:
    judged = 0
    for file in sorted((data / "dicom").rglob("*.dcm")):
        if not is_dicom(file):  # without the header of a file, which the node writes
            continue
        dataset = dcmread(file)
        if left_out.image(dataset, keep_unknown=True) is not None:
            continue
        said = identifying(dataset)
        deidentify(dataset, node(tmp_path), DATES)
        dataset.save_as(tmp_path / "after.dcm", enforce_file_format=True)
        texts = [str(e.value) for e in elements(dataset) if e.VR in ("LO", "SH", "ST", "LT", "UT", "PN")]
        assert not [word for word in texts if holds(word, said)], file.name
        assert _errors(tmp_path / "after.dcm") <= _errors(file), file.name
        judged += 1
    assert judged > 20


def _errors(file: Path) -> set[str]:
    """Without values, which are others."""
    return {re.sub("<[^>]*>$", "", line) for line in dciodvfy.errors(file)}
