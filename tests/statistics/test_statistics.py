"""What a node has done, counted: by day, station, finding, and beside what readers say."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from analysed import RULES, Networks, Site, image
from made import SECRET, incoming, phantom
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from xrv_node.cli import app
from xrv_node.db import trail
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, Instance, ResultRow, Study
from xrv_node.errors import ConfigError
from xrv_node.reasons import Reason, as_is
from xrv_node.receive import intake
from xrv_node.spool import Spool
from xrv_node.statistics import readers
from xrv_node.statistics.collect import collect
from xrv_node.statistics.interval import wilson
from xrv_node.statistics.rows import TABLES, Statistics
from xrv_node.web import turnaround

MONDAY = datetime(2026, 11, 30, tzinfo=UTC)
SPAN = (MONDAY, MONDAY + timedelta(days=14))


@contextmanager
def recorded(store: Store, when: datetime) -> Iterator[Session]:
    """A transaction whose events are of this time."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return when.astimezone(tz)

    with pytest.MonkeyPatch.context() as patched, store.begin() as db:
        patched.setattr(trail, "datetime", Clock)
        yield db


@pytest.fixture
def site(store: Store, spool: Spool) -> Site:
    """Two weeks: three images of Monday, one of the Monday after, a lateral, a phantom and one unlike any."""
    made = Site(store, spool)
    positive, negative = (
        Networks({"Effusion": 0.75, "Mass": 0.25}),
        Networks({"Effusion": 0.25, "Mass": 0.25}),
    )
    made.analyse(image(1, StationName="R1"), networks=positive)
    made.analyse(image(1, number=2, StationName="R1"), networks=negative)
    made.analyse(image(2, StationName="R2", AccessionNumber="B2"), networks=negative)
    made.analyse(image(3, AccessionNumber="C3"), networks=positive)
    made.analyse(image(4, ViewPosition="LL"))
    made.analyse(image(5, AccessionNumber="E5"), networks=Networks(refused=as_is("odd")))
    intake.accept(store, spool, RULES, incoming(phantom(1, 6)))
    for study in (1, 3):
        made.report(study)
    at = {1: 0, 2: 0, 3: 7, 4: 1, 5: 1, 6: 1}
    with store.begin() as db:
        for study, days in at.items():
            came = MONDAY + timedelta(days=days, hours=9)
            db.execute(update(Instance).where(Instance.study_id == study).values(received_at=came))
            db.execute(update(Study).where(Study.id == study).values(received_at=came))
    with recorded(store, MONDAY + timedelta(hours=10)) as db:
        trail.record(db, "instance.refused", why=Reason("class-not-taken"), status="0x0122")
        trail.record(db, "association.refused", remedy=Reason("caller-without-title"), repeated=41)
    return made


def counted(site: Site) -> Statistics:
    with site.store.read() as db:
        return collect(db, site.spool, "node", *SPAN)


def test_images_are_counted_by_day_station_and_verdict(site: Site) -> None:
    found = counted(site)
    assert (found["studies"], found["images"]) == (5, 6)
    assert [(row["day"], row["studies"], row["images"], row["skipped"]) for row in found["days"]] == [
        ("2026-11-30", 2, 3, 0), ("2026-12-01", 2, 2, 1), ("2026-12-07", 1, 1, 0),
    ]  # fmt: skip
    assert {(row["station"], row["images"]) for row in found["stations"]} == {("", 3), ("R1", 2), ("R2", 1)}
    assert {row["verdict"]: row["images"] for row in found["verdicts"]} == {
        "frontal": 5, "lateral": 1, "phantom": 1,
    }  # fmt: skip


def test_a_station_is_named_by_what_its_files_say_and_else_not(site: Site) -> None:
    with site.store.begin() as db:
        assert "R1" not in {station for (station,) in db.execute(select(Instance.station))}
        db.execute(update(Instance).where(Instance.study_id == 1).values(purged_at=MONDAY))
        digest = db.scalars(select(Instance.station).where(Instance.study_id == 1)).first()
    assert {row["station"] for row in counted(site)["stations"]} == {"", f"({str(digest)[:8]})", "R2"}


def test_findings_are_counted_by_week_with_an_interval(site: Site) -> None:
    rows = {(row["finding"], row["week"]): row for row in counted(site)["findings"]}
    assert sorted(rows) == [
        (finding, f"2026-W{week}") for finding in ("Effusion", "Mass") for week in (49, 50)
    ]
    row = rows["Effusion", "2026-W49"]
    assert (row["present"], row["images"], row["share"]) == (1, 3, 0.3333)
    # scipy.stats.binomtest(1, 3).proportion_ci(method="wilson")
    assert (row["low"], row["high"]) == (0.0615, 0.7923)
    assert (rows["Mass", "2026-W49"]["low"], rows["Mass", "2026-W49"]["present"]) == (0.0, 0)


def test_the_newest_analysis_tells_whether_findings_are_reported(site: Site) -> None:
    with site.store.begin() as db:
        uid = db.scalars(select(Instance.sop_instance_uid).where(Instance.study_id == 5)).one()
    for refused, images in ((False, 4), (True, 3)):
        with site.store.begin() as db:
            trail.record(db, "instance.analysed", instance=uid, refused=refused, seconds=1.0)
        rows = {(row["finding"], row["week"]): row for row in counted(site)["findings"]}
        assert rows["Mass", "2026-W49"]["images"] == images


def test_reasons_are_counted_with_all_that_a_row_stands_for(site: Site) -> None:
    rows = {row["what"]: row for row in counted(site)["reasons"]}
    assert rows["association.refused"]["number"] == 41
    assert rows["instance.refused"]["why"] == str(Reason("class-not-taken"))
    assert rows["instance.skipped"]["number"] == 1
    assert counted(site)["reasons"][0]["what"] == "association.refused"


def test_what_is_outside_the_span_is_not_counted(site: Site) -> None:
    with site.store.read() as db:
        found = collect(db, site.spool, "node", MONDAY + timedelta(days=30), MONDAY + timedelta(days=60))
    assert (found["studies"], found["images"]) == (0, 0)
    assert all(not dict(found)[key] for key in TABLES)


def test_turnaround_is_measured_to_the_analysis_the_report_and_each_destination(site: Site) -> None:
    with site.store.begin() as db:
        for study in (1, 3):
            came = db.get_one(Study, study).received_at
            reported = came + timedelta(seconds=10 * study)
            db.execute(update(Study).where(Study.id == study).values(reported_at=reported))
            made = came + timedelta(seconds=1)
            db.execute(update(ResultRow).where(ResultRow.study_id == study).values(created_at=made))
        uid = db.scalars(select(ResultRow.sop_instance_uid).where(ResultRow.study_id == 1)).one()
    for seconds in (5, 5000):  # sent again later: the first time counts
        with recorded(site.store, MONDAY + timedelta(hours=9, seconds=seconds)) as db:
            trail.record(db, "result.delivered", instance=uid, destination="pacs", kind="report")
    rows = {row["stage"]: row for row in counted(site)["turnaround"]}
    report = rows["study's last image to report"]
    assert (report["number"], report["p50_seconds"], report["p95_seconds"]) == (2, 20.0, 29.0)
    assert (rows["report to pacs"]["number"], rows["report to pacs"]["p50_seconds"]) == (1, 4.0)


def test_what_was_kept_back_is_counted(site: Site) -> None:
    with site.store.begin() as db:
        db.execute(update(Delivery).values(state="silent"))
        db.execute(update(ResultRow).values(created_at=MONDAY))
    assert counted(site)["kept_back"] == [
        {"destination": "out", "kind": "report", "results": 2, "studies": 2}
    ]


# ---------------------------------------------------------------------------- beside the readers


def compared(site: Site, tmp_path: Path, text: str) -> tuple[dict[str, Any], int]:
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8-sig")
    with site.store.read() as db:
        rows, missing = readers.compare(db, readers.read(path, ["Effusion", "Mass"]), tmp_path, *SPAN)
    return {row["finding"]: row for row in rows}, missing


def test_readers_are_compared_by_study(site: Site, tmp_path: Path) -> None:
    text = "StudyInstanceUID,Effusion,Mass,remark\n1.2.3.1,1,0,x\n1.2.3.2,1.0,,\n1.2.3.3,0,1,\n1.2.3.9,1,1,\n"
    rows, missing = compared(site, tmp_path, text)
    effusion = rows["Effusion"]
    assert missing == 1
    assert [effusion[k] for k in ("studies", "both", "only_node", "only_readers", "neither")] == [
        3,
        1,
        1,
        1,
        0,
    ]
    assert (effusion["agreement"], effusion["sensitivity"], effusion["specificity"]) == (0.3333, 0.5, 0.0)
    assert (rows["Mass"]["studies"], rows["Mass"]["sensitivity"], rows["Mass"]["neither"]) == (2, 0.0, 1)


def test_readers_are_compared_by_accession_without_its_being_shown(site: Site, tmp_path: Path) -> None:
    rows, missing = compared(site, tmp_path, "AccessionNumber,Effusion\nB2,0\nC3,1\nE5,1\nnone,1\n")
    assert missing == 2  # of E5 the findings are withheld
    assert (rows["Effusion"]["both"], rows["Effusion"]["neither"]) == (1, 1)
    assert rows["Effusion"]["specificity_high"] == 1.0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Effusion\n1\n", "a column StudyInstanceUID or AccessionNumber is needed; there are Effusion"),
        ("StudyInstanceUID,Efusion\n1,1\n", "no column is named as a finding; known: Effusion, Mass"),
        ("StudyInstanceUID,Mass\n1,yes\n", "line 2: Mass is neither 0, 1 nor empty"),
        ("StudyInstanceUID,Mass\n1,1\n1,0\n", "line 3: it says something else of a study than before"),
        ("StudyInstanceUID,Mass\n1\n", ""),
    ],
)
def test_a_table_that_is_wrong_is_refused_without_what_it_says_of_a_patient(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    if not complaint:
        assert readers.read(path, ["Effusion", "Mass"]).rows == {"1": {}}
        return
    with pytest.raises(ConfigError, match=complaint):
        readers.read(path, ["Effusion", "Mass"])
    with pytest.raises(ConfigError, match="cannot be read"):
        readers.read(tmp_path / "absent.csv", ["Mass"])


def test_wilsons_interval_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    for right, number in ((0, 5), (1, 3), (7, 9), (40, 40), (250, 1000)):
        theirs = stats.binomtest(right, number).proportion_ci(method="wilson")
        assert wilson(right, number) == pytest.approx((theirs.low, theirs.high))


# ---------------------------------------------------------------------------- the command, and Prometheus


def test_the_command_prints_tables_json_a_page_and_csv(site: Site, tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    database = f"sqlite:///{tmp_path / 'audit.sqlite'}"
    config.write_text(f"[node]\nname = '<b>n</b>'\ndata_dir = '{tmp_path}'\n[database]\nurl = '{database}'\n")
    (tmp_path / "labels.csv").write_text("StudyInstanceUID,Effusion\n1.2.3.1,1\n1.2.3.77,1\n")
    asked = ["statistics", "--config", str(config), "--since", "2026-11-29", "--until", "2026-12-20"]
    asked += ["--labels", str(tmp_path / "labels.csv")]
    shown = CliRunner().invoke(
        app, [*asked, "--page", str(tmp_path / "p" / "s.html"), "--csv", str(tmp_path / "c")]
    )
    assert shown.exit_code == 0, shown.output
    assert "5 studies, 6 images" in shown.output
    assert "1 rows of" in shown.output
    told = json.loads(CliRunner().invoke(app, [*asked, "--json"]).output)
    assert set(get_type_hints(Statistics)) == set(told) - {"json_version"}
    assert told["agreement"][0]["both"] == 1
    page = (tmp_path / "p" / "s.html").read_text()
    assert "&lt;b&gt;n&lt;/b&gt;" in page
    assert "<b>n</b>" not in page
    for key, row in TABLES.items():
        with (tmp_path / "c" / f"{key}.csv").open(newline="") as file:
            table = list(csv.reader(file))
        assert table[0] == list(get_type_hints(row))
        assert len(table) - 1 == len(told[key])
    assert SECRET not in page + shown.output + json.dumps(told)


def test_prometheus_counts_each_event_once(site: Site) -> None:
    made = turnaround.Histograms()

    class Once:
        def collect(self):  # type: ignore[no-untyped-def]
            with site.store.read() as db:
                yield made.collect(db)

    registry = CollectorRegistry()
    registry.register(Once())  # type: ignore[arg-type]
    with site.store.begin() as db:
        db.execute(update(Study).values(received_at=datetime.now(UTC) - timedelta(seconds=45)))
    texts = [generate_latest(registry).decode() for _ in range(2)]
    assert texts[0] == texts[1]
    lines = dict(line.rsplit(" ", 1) for line in texts[0].splitlines() if not line.startswith("#"))
    at_most = {
        bound: float(lines[f'{turnaround.NAME}_bucket{{le="{bound}",stage="report"}}'])
        for bound in ("30.0", "60.0", "+Inf")
    }
    assert at_most == {"30.0": 0.0, "60.0": 2.0, "+Inf": 2.0}
    assert float(lines[f'{turnaround.NAME}_sum{{stage="report"}}']) > 80
