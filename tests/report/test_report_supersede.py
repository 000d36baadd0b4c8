"""Results that are superseded, that come back, that are of one exposure or of two patients: through intake,
queue and report."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import dciodvfy
import pytest
import report_cases as cases
from analysed import CLASSIFIER, Networks, Site, image
from made import SECRET, incoming
from pydicom import Dataset
from sqlalchemy import delete, select, update

from xrv_node import languages
from xrv_node.db.store import Store
from xrv_node.db.tables import AnalysisRow, Delivery, Instance, Job, ResultRow
from xrv_node.frontal.repeats import NO_PREFERENCE, PREFERENCES
from xrv_node.jobs import rerun
from xrv_node.jobs.outcomes import remarks
from xrv_node.reasons import Reason, plain
from xrv_node.receive import intake
from xrv_node.report import phrases, read_back, to_bytes
from xrv_node.settings import FrontalSection
from xrv_node.spool import Spool
from xrv_node.values import SHARED_UID, ImageOutcome, Verdict

OLD, NEW = Networks(classifier=CLASSIFIER), Networks({"Effusion": 0.9}, classifier="7c" * 32)


@pytest.fixture
def site(store: Store, spool: Spool) -> Site:
    return Site(store, spool)


def reprocessed(site: Site, networks: Networks) -> list[Dataset]:
    with site.store.begin() as db:
        rerun.reprocess(db, site.spool, "1.2.3.1")
    site.analyse(networks=networks)
    return site.report(1, networks)


def predecessor(report: Dataset) -> str:
    (study,) = report.PredecessorDocumentsSequence
    (item,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    return str(item.ReferencedSOPInstanceUID)


def said(report: Dataset) -> str:
    return read_back.headline(report)


def texts(item: Dataset) -> str:
    """All that a report says, a line a sentence."""
    own = [str(item.TextValue)] if "TextValue" in item else []
    return "\n".join([*own, *(texts(child) for child in item.get("ContentSequence", []))])


def test_what_comes_back_after_it_was_superseded_is_a_new_instance(site: Site) -> None:
    site.analyse(image(1), networks=OLD)
    reports = site.report(1, OLD)
    for networks in (NEW, OLD, NEW, OLD):
        reports = reprocessed(site, networks)
    uids = [str(r.SOPInstanceUID) for r in reports]
    assert len(set(uids)) == len({str(r.SeriesInstanceUID) for r in reports}) == 5
    assert [predecessor(r) for r in reports[1:]] == uids[:-1]
    assert said(reports[0]) == said(reports[2]) == said(reports[4]) != said(reports[1])
    for made in reports:
        assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID
    with site.store.read() as db:
        assert len(db.scalars(select(Delivery)).all()) == 5


def test_the_same_again_is_nothing_new(site: Site) -> None:
    site.analyse(image(1), networks=OLD)
    site.report(1, OLD)
    reprocessed(site, NEW)
    before = reprocessed(site, OLD)
    after = reprocessed(site, OLD)
    assert [r.SOPInstanceUID for r in after] == [r.SOPInstanceUID for r in before]
    with site.store.read() as db:
        rows = db.scalars(select(ResultRow).order_by(ResultRow.id)).all()
        assert [row.revision for row in rows] == [1, 2, 4]


def test_a_report_that_was_made_and_not_recorded_is_made_again_under_its_uid(site: Site) -> None:
    site.analyse(image(1), networks=OLD)
    site.report(1, OLD)
    reprocessed(site, NEW)
    first = reprocessed(site, OLD)[-1].SOPInstanceUID
    with site.store.begin() as db:  # as it was before the killed process recorded anything
        row = db.scalars(select(ResultRow).order_by(ResultRow.id.desc())).first()
        assert row is not None
        sent = db.scalars(select(Delivery.id).where(Delivery.result_id == row.id)).all()
        db.execute(delete(Job).where(Job.delivery_id.in_(sent)))
        db.execute(delete(Delivery).where(Delivery.id.in_(sent)))
        db.delete(row)
    assert reprocessed(site, OLD)[-1].SOPInstanceUID == first


# ---------------------------------------------------------------- one exposure, several images

EXPOSURE = {"AcquisitionDate": "20260101", "AcquisitionTime": "101512", "StationName": "DX1"}


def test_what_other_models_analysed_is_analysed_again_before_it_is_reported(site: Site) -> None:
    """A node that was set up with untrained networks goes live, and then a late image comes."""
    site.analyse(image(1), networks=Networks({"Effusion": 0.9}, phantom=True))
    now = Networks({"Effusion": 0.1}, classifier="3c" * 32)
    site.analyse(image(1, number=2), networks=now)
    assert site.report(1, now) == []
    site.analyse(networks=now)
    (report,) = site.report(1, now)
    assert "PHANTOM MODEL SET" not in str(report)
    assert [e["why"] for e in site.events("study.reprocessed")] == [plain(Reason("other-models"))]
    with site.store.read() as db:
        rows = db.scalars(select(AnalysisRow).order_by(AnalysisRow.id)).all()
    assert [(row.instance_id, row.phantom) for row in rows] == [(1, True), (2, False), (1, False)]


def test_an_exposure_is_reported_once_and_the_report_and_the_trail_say_which(site: Site) -> None:
    copy = image(1, number=1, ImageType=["DERIVED", "PRIMARY"], **EXPOSURE)
    original = image(1, number=2, ImageType=["ORIGINAL", "PRIMARY"], **EXPOSURE)
    site.analyse(copy, original)
    (report,) = site.report(1)
    text = texts(report)
    assert "Image 1 (PA, series 1, image 1): frontal image: Image 2 shows the same exposure" in text
    lines = text.splitlines()
    assert lines.count("Image 2 (PA, series 1, image 2)") == 2  # its findings, and its numbers further down
    assert lines.count("Image 1 (PA, series 1, image 1)") == 0
    (event,) = site.events("instance.set_aside")
    assert event["reported"] == "1.2.3.1.1.2"
    assert event["why"] == plain(Reason("repeat-derived", number=2))
    assert event["evidence"] == {
        "attribute": "AcquisitionTime", "value": "20260101101512", "indicates": "the same exposure"
    }  # fmt: skip
    with site.store.read() as db:  # its analysis is kept
        assert set(db.scalars(select(Instance.state))) == {"analysed"}


def test_a_better_image_that_comes_late_takes_its_place(site: Site) -> None:
    site.analyse(image(1, number=1, ImageType=["DERIVED", "PRIMARY"], **EXPOSURE))
    site.report(1)
    site.analyse(image(1, number=2, ImageType=["ORIGINAL", "PRIMARY"], **EXPOSURE))
    first, second = site.report(1)
    assert predecessor(second) == first.SOPInstanceUID
    assert "Image 2 shows the same exposure" in texts(second)


# ---------------------------------------------------------------- two patients in one study


def test_images_of_two_patients_are_never_in_one_report(site: Site) -> None:
    other = {"PatientName": f"{SECRET}^Berta", "PatientID": "OTHER"}
    site.analyse(image(1), image(1, number=2, **other))
    anna, berta = site.report(1)
    assert (anna.PatientID, berta.PatientID) == (image(1).PatientID, "OTHER")
    assert str(berta.PatientName) == f"{SECRET}^Berta"
    assert "1.2.3.1.1.2" not in str(anna)
    assert "1.2.3.1.1.1" not in str(berta)
    for report in (anna, berta):
        assert "the images of this study name 2 patients" in said(report)
    (event,) = site.events("study.reported")
    assert event["patients"] == 2
    assert SECRET not in str(event)


def test_each_patient_s_report_supersedes_that_patient_s_report(site: Site) -> None:
    other = {"PatientName": "Berta", "PatientID": "OTHER"}
    site.analyse(image(1))
    site.report(1)
    site.analyse(image(1, number=2, **other))
    first, anna, berta = site.report(1)
    assert predecessor(anna) == first.SOPInstanceUID
    assert "PredecessorDocumentsSequence" not in berta
    site.analyse(image(1, number=3, **other))
    fifth = site.report(1)[-1]
    assert fifth.PatientID == "OTHER"
    assert predecessor(fifth) == berta.SOPInstanceUID


def test_a_study_of_two_patients_has_no_priors(site: Site) -> None:
    site.analyse(image(2, "20250301"))
    site.report(2)
    site.analyse(image(1))
    assert "2025-03-01" in texts(site.report(1)[-1])
    site.analyse(image(1, number=2, PatientID="OTHER"))
    assert all("2025-03-01" not in texts(report) for report in site.report(1)[1:])


@pytest.mark.parametrize(
    "spelling",
    [
        {"PatientName": f"{SECRET.upper()}^ANNA^^"},
        {"PatientName": ""},
        {"PatientID": ""},
        {"IssuerOfPatientID": "HOSPITAL"},
        {"PatientBirthDate": "1960.01.01"},
    ],
)
def test_another_spelling_is_not_another_patient(site: Site, spelling: dict[str, Any]) -> None:
    site.analyse(image(1), image(1, number=2, **spelling))
    assert len(site.report(1)) == 1


# ---------------------------------------------------------------- the same UID with other bytes


def conflicting(site: Site, **changes: Any) -> list[Dataset]:
    """The study is reported, then the archive sends it again as it has corrected it."""
    site.analyse(image(1))
    site.report(1)
    corrected = incoming(image(1, **changes))
    assert intake.accept(site.store, site.spool, FrontalSection(), corrected).outcome == "conflict"
    return site.report(1)


def test_a_corrected_patient_is_told_to_the_reader_of_both_and_mixed_in_neither(site: Site) -> None:
    first, old, new = conflicting(site, PatientID="CORRECTED")
    assert [r.PatientID for r in (first, old, new)] == [first.PatientID, first.PatientID, "CORRECTED"]
    assert predecessor(old) == first.SOPInstanceUID
    for report in (old, new):
        assert "came again under the same SOP Instance UID with other content: 1." in said(report)
        assert "name 2 patients" in said(report)
    assert "no result" in said(new)


def test_other_pixels_under_the_same_uid_are_told_and_the_report_is_valid(site: Site, tmp_path: Any) -> None:
    _, report = conflicting(site, WindowCenter="1000", WindowWidth="500")
    assert "came again under the same SOP Instance UID with other content: 1." in said(report)
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    assert len(series.ReferencedSOPSequence) == 1
    path = tmp_path / "report.dcm"
    path.write_bytes(to_bytes(report))
    assert dciodvfy.errors(path) == []


def test_a_late_image_of_a_study_whose_images_were_purged_is_reported(site: Site) -> None:
    site.analyse(image(1))
    site.report(1)
    with site.store.begin() as db:
        kept = db.scalars(select(Instance)).one()
        site.spool.absolute(kept.path).unlink()
        db.execute(update(Instance).values(purged_at=kept.received_at))
    site.analyse(image(1, number=2))
    _, report = site.report(1)
    assert "in earlier reports only: 1 objects." in said(report)


def shared(verdict: Verdict) -> ImageOutcome:
    """An image of whose SOP Instance UID another object came before."""
    image = cases.frontal(cases.header())
    reasons = (*image.decision.reasons, Reason(SHARED_UID))
    return replace(image, decision=replace(image.decision, verdict=verdict, reasons=reasons))


MR = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4", "Modality": "MR"}
BEFORE = "another object came before under the SOP Instance UID"
AGAIN = "came again under the same SOP Instance UID with other content: 1."


@pytest.mark.parametrize("first", [MR, {"ViewPosition": "LL"}], ids=["MR", "lateral"])
@pytest.mark.parametrize("study", [1, 2])
def test_a_radiograph_under_the_uid_of_what_is_not_analysed_is_analysed(
    site: Site, first: dict[str, str], study: int
) -> None:
    other = image(study, **first)
    other.SOPInstanceUID = image(1).SOPInstanceUID
    site.analyse(other, image(1))
    (report,) = site.report(1)
    assert BEFORE in said(report)
    assert "Mass" in said(report)
    (evidence,) = report.CurrentRequestedProcedureEvidenceSequence
    (series,) = evidence.ReferencedSeriesSequence
    assert [i.ReferencedSOPClassUID for i in series.ReferencedSOPSequence] == [image(1).SOPClassUID]


def test_a_radiograph_that_is_withheld_for_its_uid_is_reported_as_that(site: Site) -> None:
    """Though nothing else of its study is due: somebody waits for a result."""
    second = image(2)
    second.SOPInstanceUID = image(1).SOPInstanceUID
    site.analyse(image(1), second)
    (report,) = site.report(2)
    assert AGAIN in said(report)
    assert "no result" in said(report)


def test_what_is_not_analysed_and_has_the_uid_of_another_is_nobodys_report(site: Site) -> None:
    site.analyse(image(1, **MR), image(1, StationName="ELSEWHERE", **MR))
    assert site.report(1) == []


@pytest.mark.parametrize(
    "reason",
    [
        *(Reason(preference.key, number=2) for preference in PREFERENCES),
        Reason(NO_PREFERENCE, number=2),
        *remarks([shared(Verdict.FRONTAL), shared(Verdict.NOT_SUITABLE)], patients=2, gone=3),
    ],
)
def test_each_reason_is_translated(reason: Reason) -> None:
    for language in set(languages.names()) - {"en"}:
        told = phrases.say(reason, language)
        assert told != str(reason)
        assert re.findall(r"\d", told) == re.findall(r"\d", str(reason))
