"""The pages of fetches and of who may come, and what their buttons do."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests
from paged import HOSTILE, Node, running

from xrv_node.db import queries
from xrv_node.fetch import ask
from xrv_node.web.access import tokens, users

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, empty_database) -> Iterator[Node]:  # type: ignore[no-untyped-def]
    with running(tmp_path_factory.mktemp("pages"), empty_database) as made:
        yield made


def post(node: Node, path: str, **fields: str) -> requests.Response:
    return requests.post(f"{node.address}{path}", data=fields, timeout=30)


def page(node: Node, path: str) -> str:
    answer = requests.get(f"{node.address}{path}", timeout=30)
    assert answer.status_code == 200
    return answer.text


def test_studies_are_asked_for_one_a_line(node: Node) -> None:
    assert "Nothing was fetched yet" in page(node, "/fetches")
    answer = post(node, "/fetches", archive="vna", by="accession", what="ACC 1\n\n ACC 2 \r\n")
    assert answer.status_code == 200
    identifier = re.search(r"fetch ([0-9a-f]{12}) is queued", answer.text)
    assert identifier
    with node.store.read() as db:
        (row,) = ask.fetches(db)
    assert (row["id"], row["asked"], row["archive"], row["state"]) == (identifier[1], 2, "vna", "queued")
    for path in ("/fetches", f"/fetches/{row['id']}"):
        shown = page(node, path)
        assert row["id"] in shown
        assert "ACC" not in shown.replace("Access", "").replace(
            "Accession", ""
        )  # a patient's, in no page and no row
    as_json = requests.get(f"{node.address}/api/v1/fetches", timeout=30).json()["items"]
    assert [one["id"] for one in as_json] == [row["id"]]
    assert "cancelled" in post(node, f"/fetches/{row['id']}/cancel").text
    assert post(node, f"/fetches/{row['id']}/cancel").status_code == 409
    assert post(node, f"/fetches/{row['id']}/retry").status_code == 409


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"archive": "nowhere", "by": "study", "what": "1.2"}, 409),
        ({"archive": "vna", "by": "study", "what": HOSTILE}, 409),
        ({"archive": "vna", "by": "names", "what": "1.2"}, 400),
        ({"archive": "vna", "by": "patient", "what": "P1", "since": "yesterday"}, 400),
        ({"archive": "vna", "by": "study", "what": " \n "}, 409),
        ({"archive": "vna", "by": "accession", "what": "A*"}, 409),
    ],
)
def test_what_cannot_be_asked_for_is_refused_and_not_repeated(
    node: Node, fields: dict[str, str], status: int
) -> None:
    answer = post(node, "/fetches", **fields)
    assert answer.status_code == status
    assert HOSTILE not in answer.text


def test_people_and_tokens_are_let_in_no_more(node: Node) -> None:
    with node.store.begin() as db:
        users.add(db, "anna", "viewer", PASSWORD)
        shown = tokens.add(db, "ohif", "viewer", "OHIF")
    said = page(node, "/access")
    assert "anna" in said
    assert "OHIF" in said
    assert shown not in said
    assert "operator from the next sign-in" in post(node, "/access/role", user="anna", role="operator").text
    assert post(node, "/access/role", user="anna", role="emperor").status_code == 400
    as_json = requests.get(f"{node.address}/api/v1/access", timeout=30).json()
    assert [(one["name"], one["role"]) for one in as_json["users"]] == [("anna", "operator")]
    assert post(node, "/access/revoke", token="ohif").status_code == 200
    assert post(node, "/access/remove", user="anna").status_code == 200
    assert post(node, "/access/revoke", token="ohif").status_code == 409
    with node.store.read() as db:
        assert (users.everybody(db), tokens.all_of_them(db)) == ([], [])
        names = [row["event"] for row in queries.events(db)]
    assert {"token.revoked", "user.removed", "user.changed", "fetch.requested", "fetch.cancelled"} <= set(
        names
    )
