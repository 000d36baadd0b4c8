"""What a report is as a message, read by another maker's library that holds it to the standard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import report_cases as cases
import report_sources as sources
from hl7_peer import strict, unescaped
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from xrv_node import report
from xrv_node.errors import ConfigError
from xrv_node.hl7 import mapping, oru
from xrv_node.report import codes, read_back
from xrv_node.values import PHANTOM_WORDS, StudyOutcome, Style

ROUTE = oru.Route("XRVNODE", "", "RIS", "HOSPITAL", "P")
OURS = mapping.load(None, "")


def made(outcome: StudyOutcome, language: str = "en") -> Dataset:
    return report.build(outcome, ["report"], Style(language=language))[0].dataset


def read(dataset: Dataset, table: mapping.Mapping = OURS) -> tuple[Any, str]:
    """The message as hl7apy reads it, and its character set."""
    data = oru.build(dataset, table, ROUTE).data
    declared = data.split(b"\r")[0].split(b"|")[17].decode()
    codec = {"": "ascii", "UNICODE UTF-8": "utf-8", "8859/1": "latin-1"}[declared]
    return strict(data.decode(codec)), declared


def observations(message: Any) -> list[Any]:
    return [
        group.obx for group in message.oru_r01_patient_result.oru_r01_order_observation.oru_r01_observation
    ]


def test_a_report_is_a_message_of_the_standard() -> None:
    dataset = made(cases.outcome(cases.frontal(sources.requested(AccessionNumber="A-1"))))
    message, charset = read(dataset)
    assert charset == "8859/1"
    assert message.msh.msh_9.value == "ORU^R01^ORU_R01"
    result = message.oru_r01_patient_result
    pid, obr = result.oru_r01_patient.pid, result.oru_r01_order_observation.obr
    assert pid.pid_3.cx_1.value == str(dataset.PatientID)
    family, given_name = str(dataset.PatientName).split("^")[:2]
    assert (pid.pid_5.xpn_1.value, pid.pid_5.xpn_2.value) == (family, given_name)
    assert (obr.obr_2.value, obr.obr_3.value, obr.obr_18.value, obr.obr_19.value) == (
        "P-77",
        "A-1",
        "A-1",
        "RP-5",
    )
    assert obr.obr_4.value == "36643-5^XR Chest 2 Views^LN"
    assert obr.obr_25.value == "P"
    assert all(one.obx_11.value == "P" for one in observations(message))


def test_each_finding_is_an_observation_with_the_reports_words() -> None:
    dataset = made(cases.outcome(cases.frontal(cases.header())), "de")
    message, _ = read(dataset)
    numbers = [one for one in observations(message) if one.obx_2.value == "NM"]
    ((_, findings),) = read_back.findings(dataset).items()
    assert [one.obx_3.ce_1.value for one in numbers] == [codes.finding(f.label).score.value for f in findings]
    assert [one.obx_3.ce_4.value for one in numbers] == [codes.finding(f.label).code.value for f in findings]
    assert [one.obx_8.value == "A" for one in numbers] == [f.present for f in findings]
    first = numbers[0]
    assert (first.obx_5.value, first.obx_6.ce_1.value, first.obx_4.value) == ("82", "/100", "1")
    assert "Pleuraerguss" in first.obx_3.ce_2.value
    texts = [unescaped(one.obx_5.value) for one in observations(message) if one.obx_2.value == "TX"]
    assert texts[0] == read_back.headline(dataset)
    assert "Nicht zur Diagnose" in texts[0]
    group = message.oru_r01_patient_result.oru_r01_order_observation.oru_r01_observation
    noted = [one.nte[0].nte_3.value for one in group if one.obx.obx_2.value == "NM"]
    assert noted[0] != noted[-1]


def test_a_phantoms_report_says_so_first_and_has_codes_of_its_own() -> None:
    own = mapping.Mapping(
        **{**{k: getattr(OURS, k) for k in OURS.__slots__}, "codes": {"Effusion": ["1", "E", "L"]}}
    )
    message, _ = read(made(sources.phantom(), "de"), own)
    seen = observations(message)
    assert seen[1].obx_3.ce_2.value == PHANTOM_WORDS
    assert "NICHT FÜR PATIENTENBILDER" in seen[1].obx_5.value
    patients = {code.value for row in codes.findings().values() for code in (row.score, row.code, row.own)}
    numbers = [one for one in seen if one.obx_2.value == "NM"]
    assert numbers
    for one in numbers:
        assert not {one.obx_3.ce_1.value, one.obx_3.ce_4.value, "1"} & patients
        assert one.obx_3.ce_2.value.startswith("PHANTOM")
        assert one.obx_8.value == ""


@pytest.mark.parametrize(
    "case", ["nothing in the header", "japanese", "korean", "utf-8", "no character set", "no dates", "one failed",
             "nothing analysed", "several frontals", "long name", "time zone"],
)  # fmt: skip
def test_any_report_is_a_message(case: str) -> None:
    dataset = made(sources.CASES[case]())
    message, charset = read(dataset)
    assert charset in ("", "8859/1", "UNICODE UTF-8")
    assert len([one for one in observations(message) if one.obx_2.value == "NM"]) == sum(
        len(found) for found in read_back.findings(dataset).values()
    )


def test_sent_again_it_is_the_same_message() -> None:
    dataset = made(cases.outcome(cases.frontal(cases.header())))
    assert oru.build(dataset, OURS, ROUTE) == oru.build(dataset, OURS, ROUTE)
    other = made(cases.outcome(cases.frontal(cases.header(), scores={"Mass": 0.9})))
    assert oru.build(other, OURS, ROUTE).control_id != oru.build(dataset, OURS, ROUTE).control_id


BASE = made(cases.outcome(cases.frontal(cases.header(), scores={})))
HOSTILE = st.text(st.characters() | st.sampled_from("|^~\\&\r\n\x0b\x1c"), max_size=40)


@settings(max_examples=60, deadline=None)
@given(name=HOSTILE, description=HOSTILE, number=HOSTILE)
def test_text_from_outside_stays_in_its_field(name: str, description: str, number: str) -> None:
    dataset = Dataset()
    dataset.update(BASE)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.add_new("PatientName", "UC", name)
    dataset.add_new("StudyDescription", "UC", description)
    dataset.add_new("AccessionNumber", "UC", number)
    data = oru.build(dataset, OURS, ROUTE).data
    assert not {0x0A, 0x0B, 0x1C} & set(data)
    segments = data.decode("utf-8").rstrip("\r").split("\r")
    plain = oru.build(BASE, OURS, ROUTE).data.decode("latin-1").rstrip("\r").split("\r")
    assert [s[:4] for s in segments] == [s[:4] for s in plain]
    assert [s.count("|") for s in segments] == [s.count("|") for s in plain]
    assert all(len(s.split("|")[5].split("~")) <= 3 for s in segments if s.startswith("PID"))


def test_every_separator_comes_back_as_it_was() -> None:
    dataset = Dataset()
    dataset.update(BASE)
    dataset.StudyDescription = "a|b^c&d~e\\F\\f\rg"
    message, _ = read(dataset)
    obr = message.oru_r01_patient_result.oru_r01_order_observation.obr
    assert unescaped(obr.to_er7().split("|")[4].split("^")[1]) == "a|b^c&d~e\\F\\f g"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[codes]\nEffusion = ["1", "E"]', "[codes] Effusion: a list of 3 texts is needed"),
        ("[finding]\npresnt = 'A'", "[finding] presnt: unknown key; accepted: value_type"),
        ("[finding]\npresent = 1", "[finding] present: a text is needed"),
        ("[other]\na = 1", "[other] is no table here; accepted: order"),
        (
            '[charset]\n"ISO_IR 13" = ["X", "utf-16"]',
            "[charset] ISO_IR 13: Python has no codec utf-16 that keeps",
        ),
        ("x = ", "not valid TOML"),
    ],
)
def test_a_sites_own_mapping_that_is_wrong_is_told(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(ConfigError) as told:
        mapping.load(tmp_path / "own.toml", "destinations.ris.mapping_file")
    assert str(told.value).startswith("destinations.ris.mapping_file: ")
    assert says in str(told.value)


def test_a_sites_own_rows_stand_in_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('[codes]\nEffusion = ["4711", "", "L"]\n[finding]\npresent = "AA"\n')
    message, _ = read(
        made(cases.outcome(cases.frontal(cases.header()))), mapping.load(tmp_path / "own.toml", "k")
    )
    (one,) = [o for o in observations(message) if o.obx_3.ce_1.value == "4711"]
    assert (one.obx_3.ce_2.value, one.obx_3.ce_3.value, one.obx_8.value) == (
        "Pleural effusion score",
        "L",
        "AA",
    )
