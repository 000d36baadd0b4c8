"""OHIF on the node's own DICOMweb, without an archive: what a radiologist sees there is what Orthanc would show."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import peer_viewer
import peer_worked
import pytest
from dicomweb_client import DICOMwebClient
from peer_programs import HOST, program
from ports import free_port
from sqlalchemy import select
from test_viewer import ALL, OPENS, ORDINARY

from xrv_node import report
from xrv_node.db import trail
from xrv_node.db.store import Store
from xrv_node.db.tables import Study
from xrv_node.jobs import results
from xrv_node.result_kinds import KINDS, variant
from xrv_node.settings import Settings
from xrv_node.spool import Spool
from xrv_node.values import DEFAULT_STYLE
from xrv_node.web import server as web
from xrv_node.web.access import tokens
from xrv_node.web.node import WebNode

pytestmark = [pytest.mark.peers, pytest.mark.slow]


@dataclass(frozen=True)
class Shown:
    """Two studies in a node, and a viewer on it."""

    results: list[report.Result]
    address: str
    """Of the node itself."""
    token: str
    elsewhere: int
    """The port from which another viewer may read."""
    browser: peer_viewer.Browser


def reported(store: Store, spool: Spool, made: list[report.Result]) -> None:
    """As the report job leaves them."""
    image, outcome = peer_worked.study(ALL)
    rows = [
        results._keep(spool, outcome.study_instance_uid, one, variant(one.kind, DEFAULT_STYLE))
        for one in made
    ]
    with store.begin() as db:
        uid = str(image.StudyInstanceUID)
        study = db.scalars(select(Study).where(Study.study_instance_uid == uid)).one()
        for row in rows:
            row.study_id, row.revision, row.model_set = study.id, 1, peer_worked.MODELS.digest
            db.add(row)
        trail.record(db, "study.reported", study=uid)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    program("chromium")
    directory = tmp_path_factory.mktemp("viewer-node")
    pictures = Path(os.environ.get("XRV_NODE_PICTURES", directory / "pictures"))
    made = report.build(peer_worked.study(ALL)[1], list(KINDS))
    with ExitStack() as stack:
        data = directory / "node"
        # As docker/node.toml has it, with nginx on this machine.
        elsewhere = free_port()
        keys = {
            "trusted_proxies": [HOST],
            "proxy_user_header": "X-Remote-User",
            "allowed_origins": [f"http://{HOST}:{elsewhere}"],
        }
        settings = Settings(node={"data_dir": data}, web={"enabled": True, "port": 0} | keys)
        data.mkdir()
        store = Store(settings.database_url)
        stack.callback(store.close)
        store.migrate()
        node = stack.enter_context(web.start(WebNode(settings, store, Spool(data))))
        with store.begin() as db:
            token = tokens.add(db, "pacs", "operator", "PACS")
        own = f"http://{HOST}:{node.server_port}"
        client = DICOMwebClient(f"{own}/dicom-web", headers={"Authorization": f"Bearer {token}"})
        for number in (ALL, ORDINARY):
            client.store_instances([peer_worked.study(number)[0]])
        reported(store, Spool(data), made)
        address = stack.enter_context(
            peer_viewer.viewer(directory / "nginx", peer_viewer.ohif(), node=node.server_port)
        )
        browser = stack.enter_context(peer_viewer.browsing(address, pictures))
        yield Shown(made, own, token, elsewhere, browser)


def test_studies_are_listed_and_found(shown: Shown) -> None:
    image = peer_worked.study(ALL)[0]
    family = str(image.PatientName).partition("^")[0].lower()
    both = {"SYN0007", "SYN0008"}
    for picture, wanted, found in (
        ("list", {}, both),
        ("list-name", {"patientName": family}, both),
        ("list-nobody", {"patientName": "nobody-of-that-name"}, set()),
        ("list-modality", {"modalities": str(image.Modality)}, both),
        ("list-other", {"modalities": "CT"}, set()),
        ("list-accession", {"accession": "SYN0007"}, {"SYN0007"}),
        ("list-page", {"resultsPerPage": "1", "pageNumber": "2"}, None),
    ):
        said = shown.browser.list_studies(f"node-{picture}", **wanted)
        there = {accession for accession in both if accession in said}
        assert there == found if found is not None else len(there) == 1, (picture, said)


def test_the_radiograph_stands_there_at_once(shown: Shown) -> None:
    seen = shown.browser.open_study(peer_worked.study(ALL)[1].study_instance_uid, "node-study")
    assert seen.fine, seen
    assert seen.lit > 0.05


@pytest.mark.parametrize("kind", OPENS)
def test_a_result_opens_and_shows_what_it_says(kind: str, shown: Shown) -> None:
    made = [r.dataset for r in shown.results if r.kind == kind]
    assert made
    for dataset in made:
        seen = shown.browser.open_series(
            dataset.StudyInstanceUID,
            dataset.SeriesDescription,
            dataset.SeriesInstanceUID,
            f"node-{kind}",
            OPENS[kind],
        )
        assert seen.fine, seen
        assert OPENS[kind](seen), seen


def test_the_viewer_asked_nobody_else(shown: Shown) -> None:
    assert shown.browser.strangers == []


def test_a_viewer_elsewhere_reads_with_a_token(shown: Shown, tmp_path: Path) -> None:
    """On another origin, as [web] allowed_origins lets it."""
    text = (peer_viewer.CONFIGURATION / "app-config.js").read_text()
    text = text.replace("'/dicom-web'", f"'{shown.address}/dicom-web'")
    (tmp_path / "app-config.js").write_text(text)
    (made,) = [r.dataset for r in shown.results if r.kind == "seg"]
    there = peer_viewer.viewer(tmp_path / "nginx", peer_viewer.ohif(), port=shown.elsewhere, config=tmp_path)
    with there as address:
        browser = shown.browser.another(address, shown.address, shown.token)
        seen = browser.open_series(
            made.StudyInstanceUID,
            made.SeriesDescription,
            made.SeriesInstanceUID,
            "elsewhere-seg",
            OPENS["seg"],
        )
        assert seen.fine, seen
        assert OPENS["seg"](seen), seen
        assert browser.strangers == []
