"""Every kind of object from many kinds of source: what dciodvfy and dcmtk say, and what each says of itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from pkgutil import iter_modules

import dciodvfy
import pytest
import report_cases as cases
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian
from report_sources import ALL, CASES, UNREAD, one, phantom, raw

from xrv_node import report
from xrv_node.errors import ConfigError
from xrv_node.report import equipment, uids
from xrv_node.report import kinds as report_kinds
from xrv_node.result_kinds import KINDS, sop_classes
from xrv_node.values import FrontalDecision, Style, Verdict


@pytest.mark.parametrize("case", CASES)
def test_validators_find_no_error(case: str, tmp_path: Path) -> None:
    results = report.build(CASES[case](), ALL)
    assert results[0].kind == "report"
    for number, result in enumerate(results):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(report.to_bytes(result.dataset))
        errors = dciodvfy.errors(path)
        assert [e for e in errors if case not in UNREAD or "Character invalid for" not in e] == []
        if result.dataset.Modality == "SR":
            assert cases.tool("dsrdump", path).returncode == 0


@pytest.mark.parametrize("case", ["nothing analysed", "only failures"])
def test_without_an_analysed_image_there_is_a_report_and_nothing_else(case: str) -> None:
    assert [r.kind for r in report.build(CASES[case](), ALL)] == ["report", "pdf"]


def test_the_sop_classes_are_those_that_destinations_are_offered() -> None:
    made = {r.kind: str(r.dataset.SOPClassUID) for r in report.build(one()(), ALL)}
    assert made == {kind: sop_classes(kind, Style())[0] for kind in ALL}


def test_every_kind_has_a_builder_and_every_builder_is_of_a_kind() -> None:
    builders = {module.name.replace("_", "-") for module in iter_modules(report_kinds.__path__)}
    assert builders == set(KINDS)


def test_kinds_come_as_asked_for() -> None:
    several = CASES["several frontals"]()
    assert [r.kind for r in report.build(several, ["seg", "report"])] == ["seg", "seg", "seg", "report"]
    assert report.build(several, []) == []
    assert report.build(cases.outcome(), ALL) == []
    with pytest.raises(ConfigError, match=f'result kind "hologram" is not known: use {", ".join(ALL)}'):
        report.build(several, ["report", "hologram"])


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


def test_every_object_says_what_it_is() -> None:
    for result in report.build(one()(), ALL):
        assert result.dataset.SeriesDescription.startswith("AI ")
        assert "not for diagnosis" in result.dataset.SeriesDescription
        assert len(result.dataset.SeriesDescription) <= 64
        assert result.dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        (scheme,) = result.dataset.CodingSchemeIdentificationSequence
        assert scheme.CodingSchemeDesignator == "99XRV"
    for result in report.build(phantom(), ALL):
        assert result.dataset.SeriesDescription.startswith("AI ")
        assert result.dataset.SeriesDescription.endswith(" - PHANTOM MODEL SET - NOT FOR PATIENT IMAGES")
        assert len(result.dataset.SeriesDescription) <= 64


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
        assert [e for e in dciodvfy.errors(file) if not any(words in e for words in source_s)] == []
        assert raw(result.dataset, "PatientID") == raw(header, "PatientID") if "PatientID" in header else True
