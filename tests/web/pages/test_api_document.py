"""What the OpenAPI document says is what the node answers, for each role: nothing undocumented, no 5xx."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from paged import filled
from schemathesis import Case
from schemathesis.specs.openapi.checks import positive_data_acceptance

from xrv_node.db.store import Store
from xrv_node.settings.access import Role
from xrv_node.spool import Spool
from xrv_node.web import server as web
from xrv_node.web.access import tokens
from xrv_node.web.node import WebNode

ROLES: tuple[Role, ...] = ("sender", "viewer", "operator", "admin")
ENDLESS = "/api/v1/events"
HERE = {"X-Forwarded-For": "203.0.113.5"}
"""Through a proxy, so that this machine's is not let in without a token."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a node with something in it, and a token of each role."""
    folder: Path = tmp_path_factory.mktemp("document")
    store = Store(f"sqlite:///{folder / 'xrv-node.sqlite'}")
    store.migrate()
    configured = filled(folder, store)
    with store.begin() as db:
        shown = {role: tokens.add(db, role, role, role.upper()) for role in ROLES}
    configured = configured.model_copy(update={"web": configured.web.model_copy(update={"port": 0})})
    with web.start(WebNode(configured, store, Spool(folder))) as server:
        yield f"http://127.0.0.1:{server.server_port}", shown
    store.close()


def operations(address: str, token: str) -> list[schemathesis.schemas.APIOperation]:
    """Those of the document, as somebody with this token reads it."""
    schema = schemathesis.openapi.from_url(
        f"{address}/api/v1/openapi.json", headers=HERE | {"Authorization": f"Bearer {token}"}
    )
    return [found.ok() for found in schema.get_all_operations() if found.ok().path != ENDLESS]


@pytest.mark.parametrize("role", ROLES)
def test_the_node_answers_as_its_document_says(role: Role, node: tuple[str, dict[str, str]]) -> None:
    address, shown = node
    headers = HERE | {"Authorization": f"Bearer {shown[role]}"}
    every = operations(address, shown["admin"])
    assert len(every) > 20
    for operation in every:

        @given(case=operation.as_strategy())
        @settings(
            max_examples=12,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def asked(case: Case) -> None:
            answer = case.call(base_url=address, headers=headers)
            # A schema does not know which days a time zone has: 400 is documented, and may come of good form.
            case.validate_response(answer, excluded_checks=[positive_data_acceptance])
            assert answer.status_code < 500 or answer.status_code == 503

        asked()


def test_without_a_token_nothing_is_answered(node: tuple[str, dict[str, str]]) -> None:
    address, shown = node
    for operation in operations(address, shown["admin"]):
        case = operation.Case(
            path_parameters={
                "study": "1.2",
                "instance": "1.2",
                "job": 1,
                "name": "pacs",
                "fetch": "0123456789ab",
            }
        )
        assert case.call(base_url=address, headers=HERE).status_code == 401
