"""The whole: how much may be amiss, and the protocol as people and programs get it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import dciodvfy
import pytest
from made_protocol import answers, case, image, sent
from pydicom import dcmread

from xrv_node.acceptance import output, page, wording
from xrv_node.acceptance.compare import row
from xrv_node.acceptance.protocol import Header, Protocol, judge, percentile, plain
from xrv_node.acceptance.row import Decision, Row
from xrv_node.values import PHANTOM_WORDS

HEADER = Header(
    tester="Ann Onym",
    began=datetime(2026, 7, 1, 6, 30, tzinfo=UTC),
    seconds=61.0,
    node="XRVNODE@10.0.0.1:11112",
    archive="XRVACCEPT@10.0.0.2:11114",
    short=False,
    limit_seconds=60.0,
    seed=1,
    software={"torch": "2.7", "device": "cpu"},
    versions=("1.0+models.123456789abc",),
    models=("classifier: phantom, weights SHA-256 " + "ab" * 32,),
    destinations=("acceptance: XRVACCEPT@10.0.0.2:11114",),
)


def rows(*wrong: str, shift: int = 0) -> list[Row]:
    """A case of each finding alone and a normal; the findings named are on the wrong side in each."""
    made = []
    for number, drawn in enumerate(("Effusion", "Pneumothorax", "Nodule", "Mass", "Hernia", None), 1):
        expected = case(image(number, (drawn,) if drawn else ()), name=drawn or "normal <1>")
        objects = answers(expected, shift=shift, wrong=tuple(w for w in wrong if w == drawn)).values()
        made.append(row(expected, sent(expected), list(objects)))
    return made


def failures(protocol: Protocol) -> list[str]:
    return [check.name for check in protocol.checks if not check.good]


def test_a_good_node_is_accepted() -> None:
    protocol = judge(HEADER, rows())
    assert protocol.good
    assert set(protocol.verdicts) == {"pass"}


def test_one_miss_is_tolerated_and_shown() -> None:
    protocol = judge(HEADER, rows("Nodule"))
    assert protocol.good
    assert protocol.verdicts == ("pass", "pass", "tolerated", "pass", "pass", "pass")


def test_two_misses_of_few_are_too_many() -> None:
    protocol = judge(HEADER, rows("Nodule", "Mass"))
    assert failures(protocol) == ["findings that are drawn"]
    assert protocol.verdicts.count("fail") == 2


def test_no_miss_of_an_effusion_is_tolerated() -> None:
    assert failures(judge(HEADER, rows("Effusion"))) == ["cases", "Effusion and Pneumothorax"]


@pytest.mark.parametrize(("number", "allowed"), [(20, 1), (39, 1), (40, 2)])
def test_one_in_twenty_may_be_wrong(number: int, allowed: int) -> None:
    good = rows()[2]
    right, wrong = Decision("1", "Mass", True, 0.9), Decision("1", "Mass", True, 0.1)
    for misses in (allowed, allowed + 1):
        mixed = (wrong,) * misses + (right,) * (number - misses)
        protocol = judge(HEADER, [replace(good, decisions=mixed)])
        assert ("findings that are drawn" in failures(protocol)) == (misses > allowed)


def test_a_slow_node_is_not_accepted() -> None:
    assert failures(judge(replace(HEADER, limit_seconds=4.0), rows())) == ["time"]


def test_what_is_never_answered_is_not_in_time_and_not_right() -> None:
    good = rows()
    expected = case(image(7), name="unanswered")
    protocol = judge(HEADER, [*good, row(expected, sent(expected), [])])
    assert {"cases", "findings that are not drawn", "Effusion and Pneumothorax", "time"} <= set(
        failures(protocol)
    )
    assert protocol.checks[-1].says == "6 of 7 cases answered, 95% are to be"


def test_the_silence_of_a_node_that_says_nothing_shows_nothing() -> None:
    trap = case(image(answered=False), name="a trap")
    silent = row(trap, sent(trap), [])
    assert judge(HEADER, [*rows(), silent]).verdicts[-1] == "pass"
    expected = case(image())
    protocol = judge(HEADER, [row(expected, sent(expected), []), silent])
    assert protocol.verdicts == ("fail", "fail")
    assert [check.name for check in protocol.checks if check.good] == []
    shown = page.html(protocol)
    assert "silence shows nothing" in shown
    assert "nan" not in shown
    assert all(f["score"] is None for c in plain(protocol)["cases"] for f in c["findings"])


def test_a_run_without_cases_accepts_nothing() -> None:
    assert not judge(HEADER, []).good


def test_a_percentile_is_of_the_nearest_rank() -> None:
    assert percentile([float(n) for n in range(1, 21)]) == 19
    assert percentile([3.0]) == 3
    assert percentile([]) is None


def test_the_protocol_is_left_behind_for_people_and_programs(tmp_path: Path) -> None:
    protocol = judge(HEADER, rows("Nodule", shift=20))
    paths = output.write(protocol, tmp_path)
    html, paper, data, dicom = (path.read_bytes() for path in paths)
    shown = html.decode()
    for words in (wording.NOT_ACCEPTED, PHANTOM_WORDS, "Ann Onym", "place: off by", "ACR-SIIM", "1.4.1"):
        assert words in shown
    assert "normal &lt;1&gt;" in shown
    assert paper.startswith(b"%PDF")
    plain = json.loads(data)
    assert plain["accepted"] is False
    assert plain["header"]["began"] == "2026-07-01T06:30:00+00:00"
    assert plain["cases"][2]["verdict"] == "fail"
    assert len(plain["cases"][2]["masks"]) == 3
    made = dcmread(paths[3])
    assert made.SOPClassUID == "1.2.840.10008.5.1.4.1.1.104.1"
    assert made.EncapsulatedDocument[: made.EncapsulatedDocumentLength] == paper
    assert dicom[128:132] == b"DICM"
    assert [line for line in dciodvfy.said(paths[3]) if line.startswith(("Error", "Warning"))] == []


def test_the_page_says_first_whether_the_node_is_accepted() -> None:
    shown = page.html(judge(HEADER, rows()))
    assert re.search(r"<h1>.*?</h1>\s*<p><b><span class=\"good\">Accepted", shown, re.DOTALL)
    assert shown.count("Name, date, signature") == len(wording.SIGNATURES)


def test_a_few_cases_accept_no_node() -> None:
    protocol = judge(replace(HEADER, short=True), rows())
    assert protocol.good
    assert wording.verdict(protocol) == wording.SHORT
    assert wording.ACCEPTED not in page.html(protocol)
