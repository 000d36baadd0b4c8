"""Every kind of object from many kinds of source: what dciodvfy and dcmtk say, and that nothing is random
in it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import report_cases as cases
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from xrv_node import report
from xrv_node.errors import ConfigError
from xrv_node.report import equipment, uids
from xrv_node.report.kinds import sop_classes
from xrv_node.values import FrontalDecision, ImageOutcome, Predecessor, StudyOutcome, Style, Verdict

ALL = tuple(report.BUILDERS)
LONG = "Wolfeschlegelsteinhausenbergerdorff^Hubert Blaine Adolph Charles"
JAPANESE: dict[str, Any] = {
    "SpecificCharacterSet": ["", "ISO 2022 IR 87"],
    "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
}
KOREAN: dict[str, Any] = {
    "SpecificCharacterSet": ["", "ISO 2022 IR 149"],
    "PatientName": "Hong^Gildong=洪^吉洞=홍^길동",
}
UTF8: dict[str, Any] = {
    "SpecificCharacterSet": "ISO_IR 192",
    "PatientName": "Ωμέγα^Ζωή",
    "StudyDescription": "Θώρακας",
}
LATIN: dict[str, Any] = {
    "SpecificCharacterSet": "ISO_IR 100",
    "PatientName": "Müller^Zoë",
    "StudyDescription": "Röntgen Thorax",
}


OTHERS = {
    # defined terms of PS3.3 C.12.1.1.2 that are not above, with a name in each
    "central european": ("ISO_IR 101", "Dvořák^Antonín"),
    "south european": ("ISO_IR 109", "Ċaruana^Ġorġ"),
    "north european": ("ISO_IR 110", "Bērziņš^Jānis"),
    "cyrillic": ("ISO_IR 144", "Иванов^Иван"),
    "arabic": ("ISO_IR 127", "قباني^نزار"),
    "greek": ("ISO_IR 126", "Διονυσιος^Ζωή"),
    "hebrew": ("ISO_IR 138", "שרון^דבורה"),
    "turkish": ("ISO_IR 148", "Çelik^İpek"),
    "thai": ("ISO_IR 166", "นามสกุล^ชื่อ"),
    "katakana": ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    "japanese, supplementary": (["", "ISO 2022 IR 87", "ISO 2022 IR 159"], "Yamada^Tarou=丂^太郎"),
    "chinese, 2022": (["", "ISO 2022 IR 58"], "Wang^XiaoDong=王^小东"),
    "chinese, gb18030": ("GB18030", "Wang^XiaoDong=王^小东"),
    "chinese, gbk": ("GBK", "Wang^XiaoDong=王^小东"),
}

UNREAD = ("katakana", "chinese, gbk")
"""Character sets that dciodvfy takes for ASCII."""


def bare() -> Dataset:
    """A header with nothing but what intake insists on."""
    made = Dataset()
    full = cases.header("CR")
    for keyword in (
        "SOPClassUID",
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "Rows",
        "Columns",
    ):
        setattr(made, keyword, full[keyword].value)
    return made


def one(**changes: Any) -> Callable[[], StudyOutcome]:
    return lambda: cases.outcome(cases.frontal(cases.header(rows=121, columns=95, **changes)))


def commissioning() -> StudyOutcome:
    models = cases.model_set(commissioning=True)
    return cases.outcome(cases.frontal(cases.header(), models), models=models)


CASES: dict[str, Callable[[], StudyOutcome]] = {
    "DX": one(),
    "CR": one(kind="CR"),
    "secondary capture": one(kind="OT"),
    "monochrome 1": one(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"),
    "nothing in the header": lambda: cases.outcome(cases.frontal(bare())),
    "no orientation": one(PatientOrientation=None),
    "empty orientation": one(PatientOrientation=""),
    "no spacing": one(ImagerPixelSpacing=None),
    "both spacings": one(PixelSpacing=["0.14", "0.14"]),
    "spacing of zero": one(ImagerPixelSpacing=["0", "0"]),
    "no dates": one(StudyDate=None, StudyTime=None, PatientBirthDate=None),
    "no sex, no age": one(PatientSex=None, PatientAge=None),
    "age that breaks its VR": one(PatientAge="68"),
    "long name": one(PatientName=LONG, StudyDescription="Chest, two views, standing, " * 2),
    "latin": one(**LATIN),
    "japanese": one(**JAPANESE),
    "korean": one(**KOREAN),
    "utf-8": one(**UTF8),
    "no character set": one(SpecificCharacterSet=None),
    **{
        name: one(SpecificCharacterSet=charset, PatientName=words)
        for name, (charset, words) in OTHERS.items()
    },
    "on its side": one(PatientOrientation=["F", "R"]),
    "mirrored": one(PatientOrientation=["R", "F"]),
    "monochrome 1, secondary capture, nothing known": one(
        kind="OT",
        PhotometricInterpretation="MONOCHROME1",
        PatientOrientation=None,
        ImagerPixelSpacing=None,
        StudyDate=None,
        PatientSex=None,
        PatientAge=None,
        PatientBirthDate=None,
    ),
    "frame of reference": one(FrameOfReferenceUID="1.2.3.4", PositionReferenceIndicator=""),
    "time zone": one(TimezoneOffsetFromUTC="-0330"),
    "commissioning": commissioning,
    "an object of an unknown class beside it": lambda: cases.outcome(
        ImageOutcome(cases.header(number=2, SOPClassUID="1.3.6.1.4.1.9999.1"), cases.LATERAL),
        cases.frontal(cases.header()),
    ),
    "several frontals": lambda: cases.outcome(
        cases.frontal(cases.header(number=1)),
        cases.frontal(cases.header("CR", number=2), scores={"Mass": 0.7}),
        cases.frontal(cases.header(number=3), scores={}),
    ),
    "no findings": lambda: cases.outcome(cases.frontal(cases.header(), scores={})),
    "one failed": lambda: cases.outcome(
        cases.frontal(cases.header()),
        ImageOutcome(cases.header(number=2), cases.FRONTAL, error="the pixel data ends too early"),
    ),
    "nothing analysed": lambda: cases.outcome(ImageOutcome(cases.header(), cases.LATERAL)),
    "only failures": lambda: cases.outcome(
        ImageOutcome(cases.header(), cases.FRONTAL, error="out of memory")
    ),
    "predecessor": lambda: replace(
        one()(),
        predecessors={
            k: Predecessor("1.2.840.10008.5.1.4.1.1.88.22", "1.2.3", "1.2.4", "1.2.5") for k in ALL
        },
    ),
}


def from_file(header: Dataset) -> Dataset:
    """The header as it comes from a file: undecoded until somebody looks."""
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    header.save_as(buffer, enforce_file_format=True)
    return dcmread(BytesIO(buffer.getvalue()))


def raw(dataset: Dataset, keyword: str) -> object:
    return from_file(dataset).get_item(keyword).value


@pytest.mark.parametrize("case", CASES)
def test_validators_find_no_error(case: str, tmp_path: Path) -> None:
    results = report.build(CASES[case](), ALL)
    assert results[0].kind == "report"
    for number, result in enumerate(results):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(report.to_bytes(result.dataset))
        errors = cases.errors_of(path)
        assert [e for e in errors if case not in UNREAD or "Character invalid for" not in e] == []
        if result.dataset.Modality == "SR":
            assert cases.tool("dsrdump", path).returncode == 0


@pytest.mark.parametrize("case", ["nothing analysed", "only failures"])
def test_without_an_analysed_image_there_is_a_report_and_nothing_else(case: str) -> None:
    assert [r.kind for r in report.build(CASES[case](), ALL)] == ["report", "pdf"]


def test_the_sop_classes_are_those_that_destinations_are_offered() -> None:
    made = {r.kind: str(r.dataset.SOPClassUID) for r in report.build(one()(), ALL)}
    assert made == {kind: sop_classes(kind, Style())[0] for kind in ALL}


def test_kinds_come_as_asked_for() -> None:
    several = CASES["several frontals"]()
    assert [r.kind for r in report.build(several, ["seg", "report"])] == ["seg", "seg", "seg", "report"]
    assert report.build(several, []) == []
    assert report.build(cases.outcome(), ALL) == []
    with pytest.raises(ConfigError, match=f'result kind "hologram" is not known: use {", ".join(ALL)}'):
        report.build(several, ["report", "hologram"])


@pytest.mark.parametrize(
    "case", ["DX", "several frontals", "commissioning", "nothing analysed", "predecessor"]
)
def test_the_same_outcome_gives_the_same_bytes(case: str) -> None:
    first, second = ([report.to_bytes(r.dataset) for r in report.build(CASES[case](), ALL)] for _ in range(2))
    assert first == second


def test_the_source_is_left_as_it_was() -> None:
    header = cases.header(**JAPANESE)
    before = report.to_bytes(from_file(header))
    report.build(cases.outcome(cases.frontal(header)), ALL)
    assert report.to_bytes(from_file(header)) == before


def uids_of(outcome: StudyOutcome) -> list[tuple[str, str]]:
    return [(r.dataset.SOPInstanceUID, r.dataset.SeriesInstanceUID) for r in report.build(outcome, ALL)]


def test_a_later_run_that_says_the_same_has_the_same_uids() -> None:
    study = one()()
    later = replace(study, closed_at=study.closed_at + timedelta(days=3))
    again = replace(study, predecessors={"report": Predecessor("1.2", "1.3", "1.4", "1.5")})
    assert uids_of(study) == uids_of(later) == uids_of(again)


@pytest.mark.parametrize(
    "changed",
    [
        lambda: cases.outcome(
            cases.frontal(cases.header(rows=121, columns=95), scores=cases.SOME | {"Effusion": 0.83})
        ),
        one(PatientID="P-4711"),
        lambda: cases.outcome(cases.frontal(cases.header(rows=121, columns=95), seg=~cases.masks())),
    ],
    ids=["score", "patient", "mask"],
)
def test_changed_content_is_another_object(changed: Callable[[], StudyOutcome]) -> None:
    assert uids_of(one()()) != uids_of(changed())


def test_each_object_has_a_series_of_its_own() -> None:
    results = report.build(CASES["several frontals"](), ALL)
    made = [r.dataset for r in results]
    assert [r.kind for r in results].count("seg") == 3
    assert len({d.SeriesInstanceUID for d in made}) == len({d.SOPInstanceUID for d in made}) == len(made)
    assert len({d.SeriesNumber for d in made}) == len({r.kind for r in results})


@pytest.mark.parametrize(
    "strings",
    [
        JAPANESE,
        KOREAN,
        UTF8,
        LATIN,
        *(
            {"SpecificCharacterSet": c, "PatientName": n, "StudyDescription": "Thorax"}
            for c, n in OTHERS.values()
        ),
    ],
    ids=["japanese", "korean", "utf-8", "latin", *OTHERS],
)
def test_names_come_back_byte_for_byte(strings: dict[str, Any]) -> None:
    header = from_file(cases.header(**strings))
    for result in report.build(cases.outcome(cases.frontal(header)), ALL):
        for keyword in ("PatientName", "StudyDescription", "SpecificCharacterSet"):
            assert raw(result.dataset, keyword) == raw(header, keyword)
        assert from_file(result.dataset).PatientName == header.PatientName


def test_undeclared_characters_come_back_byte_for_byte() -> None:
    """Many devices write Latin-1 and declare nothing."""
    header = cases.header(SpecificCharacterSet=None)
    header["PatientName"].value = b"M\xfcller^Zo\xeb"
    header = from_file(header)
    for result in report.build(cases.outcome(cases.frontal(header)), ALL):
        assert raw(result.dataset, "PatientName") == b"M\xfcller^Zo\xeb"
        assert "SpecificCharacterSet" not in result.dataset


def test_patient_and_study_are_the_source_s() -> None:
    header = cases.header(
        IssuerOfPatientID="HOSPITAL",
        PatientComments="none",
        PatientSize="1.68",
        PatientWeight="70",
        StudyTime=None,
    )
    for result in report.build(cases.outcome(cases.frontal(header)), ALL):
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge", "StudyDate",
                        "StudyID", "AccessionNumber", "ReferringPhysicianName", "StudyDescription",
                        "StudyInstanceUID", "IssuerOfPatientID", "PatientComments", "PatientSize",
                        "PatientWeight"):  # fmt: skip
            assert result.dataset[keyword].value == header[keyword].value
        assert result.dataset["StudyTime"].is_empty


def test_an_attribute_that_breaks_its_vr_stays_out_unless_it_identifies() -> None:
    header = cases.header(
        PatientAge="68", PatientBirthDate="1958.01.01", PatientSex="W", PatientIdentityRemoved="YES"
    )
    header = from_file(header)
    for result in report.build(cases.outcome(cases.frontal(header)), ALL):
        assert "PatientAge" not in result.dataset
        assert "PatientIdentityRemoved" not in result.dataset  # allowed with a method only
        assert result.dataset.PatientBirthDate == "1958.01.01"
        assert result.dataset.PatientSex == "W"


def test_a_header_of_rubbish_still_gives_results() -> None:
    header = cases.header(
        SpecificCharacterSet="ISO_IR 999", SeriesNumber=None, PatientOrientation=["L"], Modality=None,
        ImagerPixelSpacing=None, TimezoneOffsetFromUTC="late", SeriesInstanceUID=None,
        FrameOfReferenceUID="", SOPClassUID="1.3.6.1.4.1.9999.1",
    )  # fmt: skip
    header = from_file(header)
    header["SeriesNumber"] = header.data_element("Rows").__class__(0x00200011, "LO", "one")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of the character set
        results = report.build(cases.outcome(cases.frontal(header)), ALL)
        assert list(dict.fromkeys(r.kind for r in results)) == list(ALL)
        assert all(report.to_bytes(r.dataset) for r in results)


def test_references_name_the_real_sop_class() -> None:
    header = cases.header(SOPClassUID="1.3.6.1.4.1.9999.1")

    def classes(item: Dataset) -> set[str]:
        found = {item.ReferencedSOPClassUID} if "ReferencedSOPClassUID" in item else set()
        return found.union(*(classes(c) for e in item if e.VR == "SQ" for c in e.value))

    for result in report.build(cases.outcome(cases.frontal(header)), ALL):
        assert classes(result.dataset) == {"1.3.6.1.4.1.9999.1"}


def test_the_maker_is_the_same_everywhere() -> None:
    models = cases.model_set()
    for result in report.build(one()(), ALL):
        made = result.dataset
        (item,) = made.ContributingEquipmentSequence
        assert item.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
        for maker in (made, item):
            assert maker.Manufacturer == equipment.MANUFACTURER
            assert maker.ManufacturerModelName == equipment.NAME
            assert maker.SoftwareVersions == equipment.version(models)
            assert maker.DeviceSerialNumber == equipment.serial_number(models)
        assert item.DeviceUID == uids.device_uid(models.digest)
        if made.Modality == "SEG":
            for segment in made.SegmentSequence:
                (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
                assert segment.SegmentAlgorithmName == algorithm.AlgorithmName == item.ManufacturerModelName
                assert algorithm.AlgorithmVersion == item.SoftwareVersions
                assert algorithm.AlgorithmSource == item.Manufacturer


def test_other_weights_are_another_device() -> None:
    models = cases.model_set()
    retrained = replace(models, classifier=replace(models.classifier, sha256="d" * 64))
    assert uids.device_uid(models.digest) != uids.device_uid(retrained.digest)
    assert equipment.version(models) != equipment.version(retrained)


def test_results_are_dated_by_the_closing_of_the_study_in_the_time_zone_of_the_source() -> None:
    for zone, date, time, offset in [
        (None, "20261120", "103005", "+0000"),
        ("-1200", "20261119", "223005", "-1200"),
    ]:
        made = report.build(one(TimezoneOffsetFromUTC=zone)(), ["report"])[0].dataset
        for what in ("Content", "Series", "InstanceCreation"):
            assert made[f"{what}Date"].value == date
            assert made[f"{what}Time"].value == time
        assert made.TimezoneOffsetFromUTC == offset


def test_documents_name_what_they_supersede() -> None:
    for result in report.build(CASES["predecessor"](), ALL):
        if result.dataset.Modality == "SR":
            (study,) = result.dataset.PredecessorDocumentsSequence
            (series,) = study.ReferencedSeriesSequence
            (instance,) = series.ReferencedSOPSequence
            named = (study.StudyInstanceUID, series.SeriesInstanceUID, instance.ReferencedSOPInstanceUID)
            assert named == ("1.2.5", "1.2.4", "1.2.3")
        else:
            assert "PredecessorDocumentsSequence" not in result.dataset


def test_a_document_does_not_supersede_itself() -> None:
    study = one()()
    first = report.build(study, ["report"])[0].dataset
    itself = Predecessor(
        first.SOPClassUID, first.SOPInstanceUID, first.SeriesInstanceUID, first.StudyInstanceUID
    )
    again = report.build(replace(study, predecessors={"report": itself}), ["report"])[0].dataset
    assert report.to_bytes(again) == report.to_bytes(first)


def test_every_object_says_what_it_is() -> None:
    for result in report.build(one()(), ALL):
        assert result.dataset.SeriesDescription.startswith("AI ")
        assert "not for diagnosis" in result.dataset.SeriesDescription
        assert len(result.dataset.SeriesDescription) <= 64
        assert result.dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        (scheme,) = result.dataset.CodingSchemeIdentificationSequence
        assert scheme.CodingSchemeDesignator == "99XRV"
    for result in report.build(commissioning(), ALL):
        assert result.dataset.SeriesDescription.startswith("AI ")
        assert result.dataset.SeriesDescription.endswith(" - COMMISSIONING - NOT A RESULT")
        assert len(result.dataset.SeriesDescription) <= 64


def test_no_patient_data_outside_the_patient_and_study_attributes() -> None:
    header = cases.header(PatientName="Zyzzyva^Quux", PatientID="PID77777", AccessionNumber="ACC88888")
    for result in report.build(cases.outcome(cases.frontal(header)), ALL):
        made = result.dataset
        for keyword in ("PatientName", "PatientID", "AccessionNumber"):
            del made[keyword]
        words = report.to_bytes(made)
        for secret in (b"Zyzzyva", b"Quux", b"PID77777", b"ACC88888"):
            assert secret not in words


REAL = sorted(
    path for folder in ("chest", "edge") for path in (cases.SHARED / "dicom" / folder).glob("*.dcm")
)


@pytest.mark.skipif(not REAL, reason="the shared radiographs are not here")
@pytest.mark.parametrize("path", REAL, ids=lambda p: p.stem)
def test_real_headers_give_valid_objects(path: Path, tmp_path: Path) -> None:
    header = dcmread(path, stop_before_pixels=True, force=True)
    name = FrontalDecision(Verdict.FRONTAL, header.get("ViewPosition") or None, ("for this test",))
    image = replace(cases.frontal(header), decision=name)
    results = report.build(
        replace(cases.outcome(image), study_instance_uid=str(header.StudyInstanceUID)), ALL
    )
    # a presentation state of this kind is about grey images only
    expected = [kind for kind in ALL if kind != "gsps" or header.get("SamplesPerPixel") == 1]
    assert list(dict.fromkeys(r.kind for r in results)) == expected
    for result in results:
        file = tmp_path / f"{result.kind}.dcm"
        file.write_bytes(report.to_bytes(result.dataset))
        # A source may declare a character set that dciodvfy does not take alone ("ISO 2022 IR 100"): not ours.
        # Nor is a modality LUT of ten bits: stated as sixteen, as it must be, dciodvfy misses the larger values.
        source_s = ("character repertoire", "Modality LUT - LUT Descriptor number of bits = 16 but maximum")
        assert [e for e in cases.errors_of(file) if not any(words in e for words in source_s)] == []
        assert raw(result.dataset, "PatientID") == raw(header, "PatientID") if "PatientID" in header else True
