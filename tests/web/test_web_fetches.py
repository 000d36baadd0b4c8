"""Fetches over HTTP: the same as the command's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from made import SECRET
from stowing import site

from xrv_node.db.store import Store
from xrv_node.fetch import ask, keys
from xrv_node.spool import Spool

PACS = {"name": "pacs", "kind": "dimse", "ae_title": "PACS", "host": "localhost", "port": 104}
CLOUD = {"name": "cloud", "kind": "web", "url": "http://localhost/dicom-web", "token_variable": "WORD"}


@dataclass(frozen=True)
class Client:
    """Asks the interface for programs."""

    port: int
    store: Store

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=30)

    def post(self, path: str, json: dict[str, Any] | None = None) -> requests.Response:
        return requests.post(f"http://127.0.0.1:{self.port}/api/v1/{path}", json=json, timeout=30)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Client]:
    """Of a node with two archives, that runs no courier."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copyfile(empty_database, folder / "audit.sqlite")
    store = Store(f"sqlite:///{folder / 'audit.sqlite'}")
    with site(store, folder, archives=[PACS, CLOUD]) as node:
        yield Client(node.port, store)
    store.close()


def test_a_fetch_from_its_request_to_its_end(client: Client) -> None:
    asked = client.post(
        "fetches", json={"studies": ["1.2.3"], "archive": "pacs", "not_before": "2100-01-01T03:00:00Z"}
    )
    row = asked.json()
    assert (asked.status_code, row["state"], row["archive"]) == (200, "queued", "pacs")
    assert row["not_before"].startswith("2100-01-01T03:00:00")
    with client.store.read() as db:
        assert ask.progress(db, row["id"])["state"] == "queued"
    assert row["id"] in [one["id"] for one in client.get("fetches").json()["items"]]
    assert client.get(f"fetches/{row['id']}").json()["found"][0]["study"] == "1.2.3"
    assert client.post(f"fetches/{row['id']}/retry").json()["state"] == "queued"
    assert client.post(f"fetches/{row['id']}/cancel").json()["state"] == "cancelled"
    again = client.post(f"fetches/{row['id']}/cancel")
    assert (again.status_code, "is cancelled" in again.json()["detail"]) == (409, True)


def test_a_patient_is_in_no_answer(client: Client) -> None:
    spool = Spool(Path(str(client.store.engine.url.database)).parent)
    body = {"archive": "pacs", "patient": SECRET, "since": "2026-01-01", "accessions": ["A1"]}
    row = client.post("fetches", json=body).json()
    assert [key.matches for key in keys.read(spool, row["id"]) or ()] == [
        {"AccessionNumber": "A1"},
        {"PatientID": SECRET, "StudyDate": "20260101-"},
    ]
    assert SECRET not in client.get(f"fetches/{row['id']}").text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"archive": "pacs"}, 409),
        ({"studies": ["../x"], "archive": "pacs"}, 409),
        ({"studies": ["1.2"], "archive": "other"}, 409),
        ({"studies": ["1.2"], "archive": "pacs", "since": "2026-01-01"}, 409),
        ({"studies": ["1.2"], "more": 1}, 400),
        ({"studies": ["1.2"], "not_before": "2026-01-01T03:00:00"}, 400),
    ],
)
def test_what_cannot_be_asked_for_is_refused(client: Client, body: dict[str, Any], status: int) -> None:
    before = client.get("fetches").json()
    assert client.post("fetches", json=body).status_code == status
    assert client.get("fetches").json() == before


def test_what_is_not_there(client: Client) -> None:
    assert client.get(f"fetches/{'0' * 12}").status_code == 404
    assert client.get("fetches/other").status_code == 400


def test_archives_are_named_without_their_secrets(client: Client) -> None:
    found = client.get("archives").json()["items"]
    assert found == [{"name": "pacs", "kind": "dimse"}, {"name": "cloud", "kind": "web"}]
    says = client.post("fetches", json={"studies": ["1.2"]}).json()["detail"]
    assert says == "say which archive: pacs, cloud"
