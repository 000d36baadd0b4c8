"""Earlier studies in the spool: whose they are, when they were made, and whether their scores compare."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import alembic.command
import pytest
from analysed import BEFORE, NOW, Networks, Site, image
from made import SECRET
from sqlalchemy import select, text

from xrv_node.db.store import Store
from xrv_node.db.tables import Study
from xrv_node.jobs import rerun as again
from xrv_node.reasons import as_is
from xrv_node.report import codes, read_back
from xrv_node.spool import Spool
from xrv_node.values import Prior


@pytest.fixture
def site(store: Store, spool: Spool) -> Site:
    return Site(store, spool)


def test_an_earlier_study_of_the_patient_is_a_prior(site: Site) -> None:
    site.analyse(image(1, BEFORE), networks=Networks({"Effusion": 0.125, "Mass": 0.9}))
    site.analyse(image(2, NOW))
    assert site.priors(2) == [Prior("1.2.3.1", BEFORE, {"Effusion": 0.125, "Mass": 0.9})]
    assert site.priors(1) == []


def test_it_need_not_be_reported_nor_received_first(site: Site) -> None:
    site.analyse(image(2, NOW))
    assert site.priors(2) == []
    site.analyse(image(1, BEFORE))
    assert [p.study_instance_uid for p in site.priors(2)] == ["1.2.3.1"]


@pytest.mark.parametrize(
    "other",
    [
        {"PatientID": "somebody else"},
        {"IssuerOfPatientID": "another hospital"},
        {"PatientBirthDate": "19600102"},
        {"PatientBirthDate": ""},
        {"PatientBirthDate": "00000000"},
        {"PatientID": ""},
        {"PatientID": None},
        {"PatientID": ["A", "B"]},
        {"StudyDate": ""},
        {"StudyDate": "20250230"},
        {"StudyDate": NOW},
        {"StudyDate": "20260102"},
    ],
)
def test_a_study_that_may_be_anothers_or_later_is_none(site: Site, other: dict[str, Any]) -> None:
    site.analyse(image(1, BEFORE, **{"StudyTime": "101010"} | other))
    site.analyse(image(2, NOW))
    assert site.priors(2) == []


def test_the_same_missing_birth_date_or_id_is_no_proof(site: Site) -> None:
    for study, attributes in ((1, {"PatientBirthDate": ""}), (3, {"PatientID": ""})):
        site.analyse(image(study, BEFORE, **attributes))
        site.analyse(image(study + 1, NOW, **attributes))
        assert site.priors(study + 1) == []


def test_spaces_and_the_old_form_of_a_date_make_no_other_patient(site: Site) -> None:
    same = {"PatientID": f"  {SECRET}-4711 ", "PatientBirthDate": "1960.01.01", "StudyDate": "2025.03.01"}
    site.analyse(image(1, **same))
    site.analyse(image(2, NOW))
    assert [p.study_date for p in site.priors(2)] == [BEFORE]


@pytest.mark.parametrize(
    ("time", "earlier"),
    [
        ("101009", True),
        ("101009.999", True),
        ("101010", False),
        ("101011", False),
        ("1010", False),
        ("", False),
    ],
)
def test_on_the_same_day_the_time_decides(site: Site, time: str, earlier: bool) -> None:
    site.analyse(image(1, NOW, StudyTime=time))
    site.analyse(image(2, NOW))
    assert len(site.priors(2)) == earlier


@pytest.mark.parametrize(
    "other",
    [
        {"classifier": "9f" * 32},
        {"phantom": True},
        {"resampler": "cubic"},
        {"refused": as_is("It is unlike.")},
        {"site_thresholds": (("Mass", 0.2),)},
    ],
)
def test_scores_that_were_made_otherwise_do_not_compare(site: Site, other: dict[str, Any]) -> None:
    site.analyse(image(1, BEFORE), networks=Networks(**other))
    site.analyse(image(2, NOW))
    assert site.priors(2) == []


def test_an_analysis_by_the_present_networks_counts_beside_others(site: Site) -> None:
    networks = Networks({"Mass": 0.5})
    site.analyse(image(1, BEFORE), networks=networks)
    site.analyse(image(2, NOW), networks=networks)
    again = Networks({"Mass": 0.625}, classifier="9f" * 32)
    site.analyse(image(3, NOW), networks=again)
    assert [p.scores for p in site.priors(2)] == [{"Mass": 0.5}]
    assert site.priors(3) == []


def test_scores_compare_by_the_operating_points_that_made_them(site: Site) -> None:
    """Also where the points were changed and changed back, and the study was analysed with each."""
    own = (("Mass", 0.2),)
    site.analyse(image(1, BEFORE), networks=Networks({"Mass": 0.5}))
    with site.store.begin() as db:
        again.reprocess(db, site.spool, "1.2.3.1")
    site.analyse(networks=Networks({"Mass": 0.625}, site_thresholds=own))
    for study, points, score in ((2, (), 0.5), (3, own, 0.625)):
        site.analyse(image(study, NOW), networks=Networks(site_thresholds=points))
        assert [p.scores for p in site.priors(study)] == [{"Mass": score}]


def test_of_several_images_each_finding_has_its_highest_score(site: Site) -> None:
    networks = Networks(
        of_image={"1.2.3.1.1.1": {"Mass": 0.2, "Edema": 0.7}, "1.2.3.1.1.2": {"Mass": 0.4, "Edema": 0.1}}
    )
    site.analyse(image(1, BEFORE), image(1, BEFORE, 2), networks=networks)
    site.analyse(image(2, NOW))
    assert [p.scores for p in site.priors(2)] == [{"Mass": 0.4, "Edema": 0.7}]


def test_the_newest_come_first_and_not_more_than_the_site_wants(site: Site) -> None:
    dates = ["20240105", "20250301", "20190101", "20250302", "20201231"]
    for study, date in enumerate(dates, 1):
        site.analyse(image(study, date))
    site.analyse(image(9, NOW))
    assert [p.study_date for p in site.priors(9)] == ["20250302", "20250301", "20240105"]
    assert [p.study_date for p in site.priors(9, max_studies=1)] == ["20250302"]
    assert site.priors(9, max_studies=0) == []


@pytest.mark.parametrize(
    "second", [{"PatientID": "other"}, {"PatientBirthDate": ""}, {"StudyDate": "20250302"}]
)
def test_a_study_whose_images_disagree_has_no_priors_and_is_none(site: Site, second: dict[str, Any]) -> None:
    mixed = image(2, BEFORE, 2, **second)
    site.analyse(image(1, "20200101"))
    site.analyse(image(2, BEFORE), mixed)
    site.analyse(image(2, BEFORE, 3))
    assert site.priors(2) == []
    site.analyse(image(3, NOW))
    assert [p.study_instance_uid for p in site.priors(3)] == ["1.2.3.1"]


def test_a_damaged_analysis_takes_its_study_out_and_nothing_else(site: Site) -> None:
    site.analyse(image(1, "20240101"))
    site.analyse(image(2, BEFORE))
    site.analyse(image(3, NOW))
    (path,) = (site.spool.root / "spool" / "analyses" / "1.2.3.2").glob("*.npz")
    path.write_bytes(path.read_bytes()[:100])
    assert [p.study_instance_uid for p in site.priors(3)] == ["1.2.3.1"]


def test_the_database_names_no_patient(site: Site, tmp_path: Path) -> None:
    site.analyse(image(1, BEFORE))
    site.analyse(image(2, NOW))
    with site.store.read() as db:
        first, second = db.scalars(select(Study).order_by(Study.id))
    assert first.patient == second.patient
    assert len(first.patient or "") == 64
    assert (first.study_date, first.study_time) == (BEFORE, "101010")
    site.store.close()
    kept = b"".join(p.read_bytes() for p in tmp_path.glob("audit.sqlite*"))
    assert SECRET.encode() not in kept
    assert b"19600101" not in kept
    key = site.spool.root / "patients.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == 32


def test_another_node_has_another_digest(site: Site, tmp_path: Path) -> None:
    site.analyse(image(1))
    other = Store(f"sqlite:///{tmp_path / 'other.sqlite'}")
    other.migrate()
    Site(other, Spool(tmp_path / "other")).analyse(image(1))
    digests = set()
    for store in (site.store, other):
        with store.read() as db:
            digests.add(db.scalars(select(Study.patient)).one())
    other.close()
    assert len(digests) == 2


def test_the_report_names_its_priors_in_the_trail_and_is_made_once(site: Site) -> None:
    site.analyse(image(1, BEFORE))
    site.report(1)
    site.analyse(image(2, NOW))
    (made,) = site.report(2)
    first, second = site.events("study.reported")
    assert first["priors"] == []
    assert second["priors"] == [{"study": "1.2.3.1", "date": BEFORE, "from": "spool"}]
    assert [line for line in read_back.texts(made, codes.EARLIER) if "2025-03-01" in line] == [
        "2025-03-01: 75/100, unchanged"
    ]
    assert [r.SOPInstanceUID for r in site.report(2)] == [made.SOPInstanceUID]


def test_the_reader_of_a_report_takes_no_priors_score_for_its_own(site: Site) -> None:
    site.analyse(image(1, BEFORE), networks=Networks({"Mass": 0.9}))
    site.analyse(image(2, NOW), networks=Networks({"Mass": 0.25}))
    (made,) = site.report(2)
    ((finding,),) = read_back.findings(made).values()
    assert finding.score == pytest.approx(0.25)


def test_a_database_of_before_is_upgraded(tmp_path: Path) -> None:
    old = Store(f"sqlite:///{tmp_path / 'audit.sqlite'}")
    alembic.command.upgrade(old._alembic(), "0001")
    with old.begin() as db:
        db.execute(
            text(
                "INSERT INTO study (study_instance_uid, state, revision, received_at) VALUES ('1.2.3.1', 'open', 0, '2026-01-01T00:00:00.000000+00:00')"
            )
        )
    old.migrate()
    site = Site(old, Spool(tmp_path))
    with old.read() as db:
        assert db.scalars(select(Study.patient)).one() is None
    site.analyse(image(1, BEFORE))
    site.analyse(image(2, NOW))
    assert [p.study_instance_uid for p in site.priors(2)] == ["1.2.3.1"]
    old.close()
