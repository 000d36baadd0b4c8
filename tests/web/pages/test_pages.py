"""The pages and the interface for programs: the words and numbers of the commands, and what is asked for by a button."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import requests
from in_process import told
from paged import HOSTILE, MARKUP_AE, Node, app_of, running, served
from pydicom import dcmread
from sqlalchemy import select, update

from xrv_node import documents
from xrv_node.db import queries, trail
from xrv_node.db.tables import Delivery, Job, ResultRow
from xrv_node.radiograph.read import read
from xrv_node.report.phrases import named
from xrv_node.report.summary import headline
from xrv_node.web.access import tokens
from xrv_node.web.api import report
from xrv_node.web.node import WebNode

STUDY, OTHER, HAND = "1.2.3.1", "1.2.3.2", "1.2.3.3"
IMAGE = "1.2.3.1.1.1"
PAGES = (
    *("/", "/studies", f"/studies/{STUDY}", f"/studies/{OTHER}", f"/studies/{HAND}", "/jobs", "/jobs/6"),
    *("/trail", "/trail?whole=yes", "/models", "/settings", "/statistics", "/connect", "/studies/9.9"),
)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("node"), empty_database) as found:
        yield found


def asked(node: Node, path: str, code: int = 200) -> Any:
    answer = requests.get(f"{node.address}/api/v1{path}", timeout=60)
    assert answer.status_code == code, answer.text
    return answer.json()


def page(node: Node, path: str, code: int = 200) -> str:
    answer = requests.get(node.address + path, timeout=60)
    assert answer.status_code == code, answer.text
    return answer.text


def done(node: Node, path: str, code: int = 200, **form: Any) -> str:
    answer = requests.post(node.address + path, data=form, timeout=60)
    assert answer.status_code == code, answer.text
    return answer.text


def printed(node: Node, *command: str, codes: tuple[int, ...] = (0,)) -> Any:
    text = told(*command, "--json", "--config", node.config, codes=codes)
    return json.loads(text[text.index("{") :])


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("/studies", ("studies", "list")),
        ("/studies?verdict=lateral", ("studies", "list", "--verdict", "lateral")),
        (f"/studies/{STUDY}", ("studies", "show", STUDY)),
        (f"/studies/{STUDY}/trail", ("audit", "show", "--study", STUDY)),
        ("/jobs", ("jobs", "list")),
        ("/jobs?state=parked", ("jobs", "list", "--state", "parked")),
        ("/jobs/6", ("jobs", "show", "6")),
        (f"/trail?study={STUDY}", ("audit", "list", "--study", STUDY)),
        ("/trail/verify", ("audit", "verify")),
        ("/statistics", ("statistics",)),
    ],
)
def test_programs_are_told_what_the_command_prints(node: Node, path: str, command: tuple[str, ...]) -> None:
    # two looks at a trail that grows: who saw a study is on record once an hour
    asked(node, path)
    ours, theirs = asked(node, path), printed(node, *command)
    for row in ours.get("items", []):
        row.pop("about", None)
    assert ours == theirs


def test_the_status_is_that_of_the_command(node: Node) -> None:
    ours, theirs = asked(node, "/status"), printed(node, "status", codes=(1,))
    for one in (ours, theirs):
        one.pop("free_bytes"), one.pop("audit_events")
    assert ours == theirs
    assert [one["says"] for one in ours["amiss"]] == ["1 parked: deliver to pacs"]


def test_the_networks_are_those_of_the_command(node: Node) -> None:
    ours = {row["name"]: row for row in asked(node, "/models")["items"]}
    used = {name: row.pop("used_for") for name, row in ours.items()}
    points = ours["densenet121-res224-all"]["points"]
    for row in ours.values():
        row.pop("points")
    assert ours == {row["name"]: row for row in printed(node, "models", "list")["items"]}
    assert used["densenet121-res224-all"] == ["classifier"]
    assert {point["whose"] for point in points} == {"published"}


def test_the_overview_says_what_needs_a_person_first(node: Node) -> None:
    text, found = page(node, "/"), asked(node, "/overview")
    assert [one["what"] for one in found["attention"]] == ["parked", "stopped", "weights"]
    assert text.index("1 parked: deliver to pacs") < text.index("Received")
    assert found["attention"][0]["causes"][0]["number"] == 1
    assert found["last_hour"] == found["last_day"] == 4
    assert {one["kind"]: one["queued"] for one in found["queue"]}["deliver"] == 5
    stages = {one["stage"]: one["p50_seconds"] for one in asked(node, "/statistics")["turnaround"]}
    assert {one["stage"]: one["p50_seconds"] for one in found["turnaround"]} == stages
    pacs, _ = found["destinations"]
    assert pacs["error"]["text"].startswith("refused: ")
    assert "COMMISSIONING" not in text


def test_commissioning_is_said_once_on_every_page(node: Node) -> None:
    with node.store.begin() as db:
        trail.record(db, "node.started", commissioning=True)
    try:
        for path in ("/", "/studies", f"/studies/{STUDY}", "/connect"):
            assert page(node, path).count("COMMISSIONING") == 1, path
        assert "serve</code> without --commissioning" in page(node, "/")
    finally:
        with node.store.begin() as db:
            trail.record(db, "node.started", commissioning=False)


def test_a_measurement_stands_with_its_name(node: Node) -> None:
    ratio = asked(node, f"/studies/{STUDY}/report")["images"][0]["ratio"]
    assert re.match(r"Cardiothoracic ratio 0\.\d\d", ratio[0])
    assert f"<p>{' '.join(ratio)}</p>" in page(node, f"/studies/{STUDY}")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/studies?since=2026-13-01", "since: a day is written as 2026-01-31"),
        ("/jobs?state=lost", "state: there is no such; use one of"),
        (f"/studies?name={'x' * 300}", "name: String should have at most"),
    ],
)
def test_what_is_asked_for_wrongly_is_told_on_a_page(node: Node, path: str, says: str) -> None:
    text = page(node, path, 400)
    assert says in text
    assert '<main id="main"' in text


def test_structures_have_the_names_of_the_report(node: Node) -> None:
    found = asked(node, f"/studies/{STUDY}/report")["images"][0]["structures"]
    assert set(found) == {named("structure", one, "en") for one in ("Left Lung", "Right Lung", "Heart")}


def test_a_study_of_which_nothing_was_made_says_so(node: Node) -> None:
    assert "No result was made of this study." in page(node, f"/studies/{HAND}")


def test_reasons_that_are_sentences_have_no_mark_behind_their_full_stop(node: Node) -> None:
    assert documents.words(["one.", "two.", "three", "four"]) == "one. two. three; four"
    for path in (f"/studies/{STUDY}", f"/studies/{HAND}"):
        assert not re.search(r"\.[;,]", page(node, path)), path


def test_a_study_says_what_its_report_says(node: Node) -> None:
    text, found = page(node, f"/studies/{STUDY}"), asked(node, f"/studies/{STUDY}/report")
    with node.store.read() as db:
        row = db.scalars(select(ResultRow).where(ResultRow.kind == "report").order_by(ResultRow.id)).first()
    assert row is not None
    sentence = re.sub(r"\s+", " ", _texts(node, row.path))
    assert found["sentences"][0] in sentence
    assert found["sentences"][0] in text
    (first, second) = found["images"]
    assert [one["label"] for one in first["findings"] if one["present"]] == ["Effusion", "Cardiomegaly"]
    assert first["findings"][0]["shown"] == "82/100"
    assert first["findings"][0]["operating_point"] == pytest.approx(0.1026, abs=1e-3)
    assert not second["answered"]
    assert "lateral" in found["left_out"][0]
    assert "Research software" in text
    assert "https://viewer.example/viewer?StudyInstanceUIDs=1.2.3.1" in text
    outcome = report.read(WebNode(node.settings, node.store, node.spool), STUDY).outcomes[0]
    assert headline(outcome) == found["sentences"][0]


def _texts(node: Node, path: str) -> str:
    found = dcmread(node.spool.absolute(path)).iterall()
    return " ".join(str(element.value) for element in found if element.keyword == "TextValue")


def test_scores_are_folded_away_until_they_are_asked_for(node: Node) -> None:
    text = page(node, f"/studies/{STUDY}")
    before, _, rest = text.partition('<details class="scores"')
    assert rest
    assert 'class="score"' not in before
    assert "<details open" not in text


def test_markup_is_shown_and_never_counts(node: Node) -> None:
    for path in PAGES:
        text = requests.get(node.address + path, timeout=60).text
        assert "<img src=x" not in text
        assert "<script>" not in text
        assert MARKUP_AE not in text
        assert "style=" not in text
        assert not re.search(r"\son\w+=", text.replace("onerror=alert", "")), path
        assert "Zebrafinch" not in re.search("<title>(.*)</title>", text)[1]  # type: ignore[index]
    assert "&lt;img src=x onerror" in page(node, f"/studies/{OTHER}")


def test_an_image_has_all_its_grey_levels(node: Node) -> None:
    answer = requests.get(f"{node.address}/studies/{STUDY}/images/{IMAGE}/pixels", timeout=60)
    with node.store.read() as db:
        shown = read(node.spool.absolute(queries.study(db, STUDY)["instances"][0]["path"]))
    levels = np.frombuffer(answer.content, "<u2").reshape(shown.pixels.shape)
    low = int(shown.pixels.min())
    assert np.array_equal(levels, shown.pixels.astype(int) - low)
    assert float(answer.headers["Image-Low"]) == shown.low - low
    assert float(answer.headers["Image-High"]) == shown.high - low
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_pictures_of_an_image(node: Node) -> None:
    where = f"{node.address}/studies/{STUDY}/images/{IMAGE}"
    for name, channels in (("picture.png", 1), ("heat/Effusion.png", 4)):
        answer = requests.get(f"{where}/{name}", timeout=60)
        found = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
        assert found.shape[:2] == (300, 260)
        assert (1 if found.ndim == 2 else found.shape[2]) == channels
    assert requests.get(f"{where}/overlay.png", timeout=60).headers["Content-Type"] == "image/png"
    names = {one["name"] for one in asked(node, f"/studies/{STUDY}/images/{IMAGE}/anatomy")["items"]}
    assert names == {"Left Lung", "Right Lung", "Heart"}
    for wrong in ("heat/Nothing.png", "../9/pixels"):
        assert requests.get(f"{where}/{wrong}", timeout=60).status_code == 404
    other = f"{node.address}/studies/{OTHER}/images/{IMAGE}/pixels"
    assert requests.get(other, timeout=60).status_code == 404


def test_a_result_comes_as_the_file_that_it_is(node: Node) -> None:
    shown = asked(node, f"/studies/{STUDY}")["results"][0]
    answer = requests.get(f"{node.address}/studies/{STUDY}/results/{shown['instance']}", timeout=60)
    assert answer.content == (node.folder / shown["path"]).read_bytes()
    page(node, f"/studies/{OTHER}/results/{shown['instance']}", 404)


def test_studies_are_found_by_what_is_asked_for(node: Node) -> None:
    def found(query: str) -> list[str]:
        return [row["study"] for row in asked(node, f"/studies?{query}")["items"]]

    assert found("") == [HAND, OTHER, STUDY]
    assert found("finding=Effusion") == [OTHER, STUDY]
    assert found("finding=Mass") == []
    assert found("name=zebra") == [HAND, STUDY]
    assert found("accession=ACC1") == [HAND, STUDY]
    assert found("name=nobody") == []
    assert found("sender=PACS&verdict=not_chest") == [HAND]
    assert f'value="{HAND}"' in page(node, "/studies?name=zebra&since=&until=&state=")
    assert "2026-01-31" in page(node, "/studies?since=yesterday", 400)
    assert requests.get(f"{node.address}/api/v1/studies?since=yesterday", timeout=60).status_code == 400


def test_jobs_are_retried_and_given_up_by_a_button(node: Node) -> None:
    assert "queued again: 6" in done(node, "/jobs/retry", alike=6)
    with node.store.read() as db:
        assert queries.job(db, 6)["state"] == "queued"
        (event,) = queries.events(db, event="job.retried", limit=1)
    assert event["detail"]["by"] == "127.0.0.1"
    assert "cancelled: 6" in done(node, "/jobs/cancel", job=6)
    assert "is cancelled; only queued and parked" in done(node, "/jobs/cancel", 409, job=6)
    assert "there is no job 99" in done(node, "/jobs/retry", 409, job=99)
    answer = requests.post(f"{node.address}/api/v1/jobs/retry", json={"jobs": [6]}, timeout=60)
    assert answer.json() == {"json_version": 1, "retried": [6]}
    with node.store.begin() as db:
        db.execute(update(Job).where(Job.id == 6).values(state="parked"))
        db.execute(
            update(Delivery).where(Delivery.state == "waiting", Delivery.id == 1).values(state="rejected")
        )


def test_studies_are_sent_and_analysed_again_by_a_button(node: Node) -> None:
    with node.store.begin() as db:
        db.execute(update(Delivery).where(Delivery.destination == "folder").values(state="delivered"))
        jobs = select(Job.id).join(Delivery).where(Delivery.destination == "folder")
        db.execute(update(Job).where(Job.id.in_(jobs)).values(state="done"))
    text = done(node, "/studies/resend", study=[STUDY, "9.9"], to="folder", back=f"/studies/{STUDY}")
    assert "1 results are sent again" in text
    assert "no study 9.9 came here" in text
    assert f'href="/studies/{STUDY}"' in text
    assert "1 images are analysed again" in done(
        node, "/studies/reprocess", study=OTHER, back="//evil.example"
    )
    assert asked(node, f"/studies/{OTHER}")["state"] == "closed"
    asked(node, "/studies/9.9", 404)
    assert "no study 9.9 came here" in page(node, "/studies/9.9", 404)


def test_a_destination_is_asked_whether_it_is_there(node: Node) -> None:
    text = done(node, "/destinations/check", destination="pacs", back="/")
    assert "pacs: FAILED" in text
    answer = requests.post(f"{node.address}/api/v1/destinations/pacs/check", timeout=60).json()
    assert answer["good"] is False
    done(node, "/destinations/check", 409, destination="nowhere")


def test_the_theme_is_chosen_without_scripts(node: Node) -> None:
    session = requests.Session()
    answer = session.post(f"{node.address}/theme", data={"theme": "dark", "back": "/jobs"}, timeout=60)
    assert answer.url == f"{node.address}/jobs"
    assert 'data-theme="dark"' in answer.text
    away = session.post(
        f"{node.address}/theme",
        data={"theme": "x", "back": "//evil.example"},
        timeout=60,
        allow_redirects=False,
    )
    assert away.headers["Location"] == "/"


def test_the_trail_goes_into_a_file(node: Node) -> None:
    lines = requests.get(f"{node.address}/api/v1/trail/export?study={STUDY}", timeout=60).text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [
        row["id"] for row in asked(node, f"/trail?study={STUDY}&limit=1000")["items"]
    ]
    table = requests.get(f"{node.address}/api/v1/trail/export?form=csv", timeout=60)
    assert table.text.startswith("id,at,event,study,instance,detail,hash")
    assert HOSTILE.replace('"', "") not in table.headers["Content-Disposition"]


def test_who_may_only_look_has_no_buttons(node: Node) -> None:
    with node.store.begin() as db:
        shown = {"Authorization": f"Bearer {tokens.add(db, 'eye', 'viewer', 'EYE')}"}
    text = requests.get(f"{node.address}/jobs", headers=shown, timeout=60).text
    assert "Retry" not in text
    assert 'href="/settings"' not in text
    assert 'href="/studies"' in text
    assert requests.get(f"{node.address}/settings", headers=shown, timeout=60).status_code == 403
    assert requests.post(f"{node.address}/jobs/retry", headers=shown, timeout=60).status_code == 403


def test_the_overview_says_when_a_destination_took_and_refused(node: Node) -> None:
    with node.store.begin() as db:
        trail.record(db, "result.delivered", destination="folder", kind="report", status="0x0000")
    with node.store.read() as db:
        (event,) = queries.events(db, event="result.delivered", limit=1)
    found = {one["name"]: one for one in asked(node, "/overview")["destinations"]}
    assert found["folder"]["last_success"] == event["at"]
    assert found["folder"]["last_error"] is None
    assert found["pacs"]["last_success"] is None


def test_what_one_tells_a_vendor(node: Node) -> None:
    found = asked(node, "/connection")
    assert (found["ae_title"], found["port"]) == ("XRVNODE", 11119)
    assert found["dicomweb"] == f"{node.address}/dicom-web"
    assert found["ohif"]["configuration"]["wadoRoot"] == found["dicomweb"]
    assert {row["ae_title"]: row["images"] for row in found["senders"]} == {"PACS": 3, MARKUP_AE: 1}


@pytest.mark.parametrize(
    ("receive", "says"),
    [
        ({"port": 0}, "one that is free, another at each start"),
        ({"host": "0.0.0.0"}, "any name or address of this machine</dd>"),
        ({"host": "10.0.0.5"}, "<code>10.0.0.5</code></dd>"),
        ({}, "<code>127.0.0.1</code>: this machine alone"),
    ],
)
def test_a_vendor_is_told_what_can_be_dialled(node: Node, receive: dict[str, Any], says: str) -> None:
    other = node.settings.receive.model_copy(update=receive)
    with served(app_of(node.settings.model_copy(update={"receive": other}), node.store)) as address:
        text = requests.get(f"{address}/connect", timeout=60).text
    assert says in text
    assert "<code>0" not in text


def test_every_answer_is_in_the_document(node: Node) -> None:
    paths = asked(node, "/openapi.json")["paths"]
    ours = {path for path in paths if path.startswith("/api/v1/")}
    assert {"/api/v1/overview", "/api/v1/studies/{study}/report", "/api/v1/events"} <= ours
    for path in ours:
        for operation in paths[path].values():
            assert operation["summary"]
            assert "200" in operation["responses"]
