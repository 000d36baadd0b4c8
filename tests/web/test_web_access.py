"""Who may come over HTTP, and as what."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from access_site import HERE, REMOTE, ROLES, Browser, Site, serving
from fastapi.routing import iter_route_contexts
from serving import wait
from sqlalchemy.exc import OperationalError

from xrv_node.db.store import Store
from xrv_node.db.tables import Study
from xrv_node.web.access import roles, sightings, tokens
from xrv_node.web.access.headers import HEADERS
from xrv_node.web.access.roles import RIGHTS, Right
from xrv_node.web.app import application

KEYS = """
names = ["node.example"]
trusted_proxies = ["127.0.0.1"]
allowed_origins = ["https://viewer.example"]
proxy_user_header = "X-Remote-User"
proxy_role_header = "X-Remote-Groups"
proxy_roles = {radiology-it = "admin", readers = "viewer"}
"""
STUDY = "1.2.826.0.1"
ROUTES = (
    "/dicom-web/studies",
    "/dicom-web/studies/{study}",
    "/dicom-web/studies/{study}/{rest:path}",
    "/studies/{study}",
    "/jobs/1/retry",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Site]:
    """Behind a proxy on this machine, that says who asks."""
    with serving(tmp_path_factory.mktemp("site"), empty_database, KEYS, routes=ROUTES) as made:
        yield made


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Site]:
    """Without a proxy."""
    with serving(tmp_path_factory.mktemp("alone"), empty_database, routes=ROUTES) as made:
        yield made


def shows(token: str) -> dict[str, str]:
    return REMOTE | {"Authorization": f"Bearer {token}"}


def whoami(site: Site, headers: dict[str, str]) -> dict[str, str]:
    answer = site.ask("/api/v1/whoami", headers=headers)
    assert answer.status == 200, answer.text
    return dict(json.loads(answer.text))


# ---------------------------------------------------------------- this machine, and others


def test_whoever_is_on_this_machine_may_all(alone: Site) -> None:
    found = whoami(alone, {"Host": "127.0.0.1"})
    assert (found["name"], found["role"], found["ae_title"], found["csrf"]) == ("", "admin", "WEB", "")
    assert alone.ask("/jobs/1/retry", "POST", {"Host": "localhost:8080"}).status == 200


def test_a_proxy_that_nobody_trusts_is_not_this_machine(alone: Site) -> None:
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host"):
        assert alone.ask("/api/v1/whoami", headers={"Host": "localhost", name: "127.0.0.1"}).status == 401


def test_this_machine_can_be_closed_too(tmp_path: Path, empty_database: Path) -> None:
    with serving(tmp_path, empty_database, "open_loopback = false\n") as closed:
        assert closed.ask("/api/v1/whoami", headers={"Host": "localhost"}).status == 401
        assert closed.ask("/health/live", headers={"Host": "localhost"}).status == 200
        shown = {"Host": "localhost", "Authorization": f"Bearer {closed.tokens['viewer']}"}
        assert whoami(closed, shown)["name"] == "viewer-token"


def test_another_machine_must_say_who_it_is(site: Site) -> None:
    answer = site.ask("/api/v1/whoami")
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="xrv-node"')
    wrong = site.ask("/api/v1/whoami", headers=shows("xrv_" + "A" * 43))
    assert (wrong.status, wrong.headers["WWW-Authenticate"]) == (
        401,
        'Bearer realm="xrv-node", error="invalid_token"',
    )
    basic = site.ask("/api/v1/whoami", headers=REMOTE | {"Authorization": "Basic YWRtaW46YWRtaW4="})
    assert basic.status == 401
    assert "Basic" not in basic.headers["WWW-Authenticate"]
    assert site.ask("/api/v1/whoami", headers=HERE).status == 401  # what a proxy says opens nothing


def test_a_person_is_led_to_where_to_sign_in(site: Site) -> None:
    browser = Browser(site)
    answer = browser.ask(f"/studies/{STUDY}?PatientName=DOE")
    assert (answer.status, answer.headers["Location"]) == (303, f"/sign-in?next=/studies/{STUDY}")
    assert browser.ask("/dicom-web/studies").status == 401
    linked = browser.ask(f"/studies/{STUDY}", Sec_Fetch_Site="cross-site")
    assert (linked.status, linked.headers["Refresh"]) == (200, f"0; url=/sign-in?next=/studies/{STUDY}")


def test_a_wrong_token_is_not_let_in_as_anybody_else(alone: Site) -> None:
    assert (
        alone.ask("/api/v1/whoami", headers={"Host": "localhost", "Authorization": "Bearer x"}).status == 401
    )
    assert (
        alone.ask("/api/v1/whoami", headers={"Host": "localhost", "Authorization": "Bearer \xe9"}).status
        == 401
    )
    (first, *_) = alone.events("user.refused")
    assert first[2] == {"address": "127.0.0.1", "way": "token"}


def test_a_token_is_somebody_with_an_ae_title_until_it_is_revoked(site: Site) -> None:
    with site.node.store.begin() as db:
        made = tokens.add(db, "pacs", "operator", "PACS7")
    found = whoami(site, shows(made))
    assert (found["name"], found["role"], found["ae_title"]) == ("pacs", "operator", "PACS7")
    assert whoami(site, REMOTE | {"Authorization": f"bearer   {made} "})["name"] == "pacs"
    with site.node.store.begin() as db:
        assert next(t for t in tokens.all_of_them(db) if t["name"] == "pacs")["used_at"] is not None
        tokens.revoke(db, "pacs")
    assert site.ask("/api/v1/whoami", headers=shows(made)).status == 401


# ---------------------------------------------------------------- what a proxy says


@pytest.mark.parametrize(
    ("groups", "role"),
    [("", "viewer"), ("operator", "operator"), ("readers, radiology-it", "admin"), ("Admin,wheel", "viewer")],
)
def test_a_trusted_proxy_says_who_asks(site: Site, groups: str, role: str) -> None:
    found = whoami(site, REMOTE | {"X-Remote-User": "carla", "X-Remote-Groups": groups})
    assert (found["name"], found["role"], found["address"]) == ("carla", role, "203.0.113.5")


def test_nobody_else_says_who_asks(alone: Site) -> None:
    headers = {"Host": "localhost", "X-Remote-User": "carla", "X-Remote-Groups": "admin"}
    assert whoami(alone, headers)["name"] == ""


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("127.0.0.1, 198.51.100.7", "198.51.100.7"),  # what stands before it the client wrote itself
        ("6.6.6.6, 198.51.100.7, 127.0.0.1", "198.51.100.7"),
        ("198.51.100.7:4711", "198.51.100.7"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("127.0.0.1, unknown", "unknown"),
        ("127.0.0.1, <script>", "unknown"),
    ],
)
def test_where_a_request_comes_from(site: Site, chain: str, address: str) -> None:
    headers = {"X-Forwarded-For": chain, "Authorization": f"Bearer {site.tokens['viewer']}"}
    found = whoami(
        site, headers | {"X-Forwarded-Host": "evil, NODE.example:8443", "X-Forwarded-Proto": "https"}
    )
    assert (found["address"], found["host"], found["scheme"]) == (address, "NODE.example:8443", "https")
    del headers["Authorization"]
    assert site.ask("/api/v1/whoami", headers=headers).status == 401


def test_a_proxy_that_says_nothing_is_nobody_on_this_machine(site: Site) -> None:
    assert site.ask("/api/v1/whoami", headers={}).status == 401


def test_forwarded_headers_of_a_stranger_change_nothing(alone: Site) -> None:
    headers = {"Host": "localhost", "Authorization": f"Bearer {alone.tokens['viewer']}"}
    found = whoami(alone, headers | REMOTE | {"X-Forwarded-Host": "evil.example"})
    assert (found["address"], found["scheme"], found["host"]) == ("127.0.0.1", "http", "localhost")


# ---------------------------------------------------------------- rebinding, other sites' pages


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200), ("LOCALHOST:8080", 200), ("127.0.0.1:1", 200), ("[::1]:8080", 200), ("192.0.2.1", 200),
        ("node.localhost", 200), ("evil.example", 421), ("localhost.evil.example", 421), ("127.0.0.1.evil.example", 421),
        ("", 421), ("a@localhost", 421), ("localhost/x", 421), ("localhost:x", 421), ("[::1", 421), ("node.example", 421),
    ],
)  # fmt: skip
def test_the_address_must_name_this_node(alone: Site, host: str, status: int) -> None:
    assert alone.ask("/api/v1/whoami", headers={"Host": host}).status == status


def test_probes_call_the_node_as_they_like(alone: Site) -> None:
    assert alone.ask("/health/live", headers={"Host": "xrv-node.svc"}).status == 200
    assert alone.ask("/metrics", headers={"Host": "xrv-node.svc"}).status == 200


@pytest.mark.parametrize(
    ("headers", "get", "post"),
    [
        ({}, 200, 200),
        ({"Origin": "http://localhost:8080"}, 200, 200),
        ({"Origin": "http://localhost"}, 403, 403),
        ({"Origin": "https://localhost:8080"}, 403, 403),
        ({"Origin": "https://evil.example"}, 403, 403),
        ({"Origin": "null"}, 403, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 200, 200),  # a form of ours, without a referrer
        ({"Sec-Fetch-Site": "none"}, 200, 200),
        ({"Sec-Fetch-Site": "same-site"}, 403, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200, 403),  # a link; a form
        ({"Origin": "http://localhost:8080", "Sec-Fetch-Site": "cross-site"}, 403, 403),
        ({"Origin": "http://["}, 403, 403),
    ],
)
def test_pages_of_other_sites_do_nothing_here(
    alone: Site, headers: dict[str, str], get: int, post: int
) -> None:
    headers = {"Host": "localhost:8080"} | headers
    assert alone.ask(f"/studies/{STUDY}", headers=headers).status == get
    assert alone.ask("/jobs/1/retry", "POST", headers).status == post


def test_pages_of_allowed_origins_read_with_a_token(site: Site) -> None:
    asks = {"Origin": "https://viewer.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    before = REMOTE | asks | {
        "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization,accept",
    }  # fmt: skip
    preflight = site.ask("/dicom-web/studies", "OPTIONS", before)
    assert preflight.status == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://viewer.example"
    assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in preflight.headers
    answer = site.ask("/dicom-web/studies", headers=shows(site.tokens["viewer"]) | asks)
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "https://viewer.example")
    assert "Warning" in answer.headers["Access-Control-Expose-Headers"]
    refused = site.ask("/dicom-web/studies", headers=REMOTE | asks)
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (401, "https://viewer.example")
    stranger = site.ask("/dicom-web/studies", "OPTIONS", before | {"Origin": "https://evil.example"})
    assert (stranger.status, stranger.headers["Access-Control-Allow-Origin"]) == (403, None)


# ---------------------------------------------------------------- roles


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("GET", "/health/live", Right.NONE), ("GET", "/static/app.css", Right.NONE), ("POST", "/sign-in", Right.NONE),
        ("GET", "/", Right.READ), ("GET", "/metrics", Right.READ), ("POST", "/sign-out", Right.READ),
        ("GET", "/dicom-web/studies", Right.READ), ("OPTIONS", "/dicom-web/studies/1.2/", Right.READ),
        ("HEAD", "/dicom-web/studies/1.2/metadata", Right.READ), ("POST", "/dicom-web/studies/", Right.STORE),
        ("POST", "/dicom-web/studies/1.2", Right.STORE), ("POST", "/dicom-web/studies/1.2/series", Right.ADMINISTER),
        ("DELETE", "/dicom-web/studies/1.2", Right.ADMINISTER), ("GET", "/studies/1.2", Right.READ),
        ("POST", "/jobs/7/retry", Right.OPERATE), ("POST", "/api/v1/fetches", Right.OPERATE), ("POST", "/try", Right.OPERATE),
        ("GET", "/settings", Right.ADMINISTER), ("GET", "/api/v1/trail/export", Right.ADMINISTER),
        ("POST", "/access/tokens", Right.ADMINISTER), ("GET", "/no/such/page", Right.ADMINISTER), ("PUT", "/", Right.ADMINISTER),
        ("GET", "/health/../settings", Right.NONE), ("GET", "/studies-of-others", Right.ADMINISTER),
    ],
)  # fmt: skip
def test_what_a_route_asks_for(method: str, path: str, right: Right) -> None:
    assert roles.needed(method, path) is right


def test_what_each_role_has() -> None:
    assert roles.least(Right.READ) == "viewer"
    assert roles.least(Right.STORE) == "sender"
    assert RIGHTS["viewer"] < RIGHTS["operator"] < RIGHTS["admin"] == set(Right) - {Right.NONE}


@pytest.mark.parametrize("role", [None, *ROLES])
def test_every_route_lets_in_whom_it_should_and_nobody_else(site: Site, role: str | None) -> None:
    """All routes that there are, with each role and with none."""
    headers = REMOTE if role is None else shows(site.tokens[role])
    for method, path in _routes(site):
        right = roles.needed(method, path)
        status = site.ask(path, method, headers, whole=False).status
        if right is Right.NONE or (role is not None and right in RIGHTS[role]):
            assert status not in (401, 403) or path.startswith("/sign-in"), (method, path)
        else:
            assert status == (401 if role is None else 403), (method, path)


def test_no_route_is_an_admins_for_want_of_a_row(site: Site) -> None:
    meant = tuple(
        f"{prefix}/{name}" for prefix in ("", "/api/v1") for name in ("access", "settings", "trail")
    )
    for method, path in _routes(site):
        assert roles.needed(method, path) is not Right.ADMINISTER or path.startswith(meant), (method, path)


def _routes(site: Site) -> list[tuple[str, str]]:
    """Every route of the application, with something in each place of its path."""
    found = [
        (method, re.sub(r"\{\w+(:path)?\}", "1", str(route.path)))
        for route in iter_route_contexts(application(site.node).routes)
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]
    assert ("GET", "/metrics") in found
    assert ("POST", "/sign-out") in found
    return found


# ---------------------------------------------------------------- headers, metrics, log


@pytest.mark.parametrize(
    "path", ["/health/live", "/sign-in", "/api/v1/whoami", "/no/such/page", "/dicom-web/studies"]
)
def test_every_answer_tells_the_browser_to_be_careful(site: Site, path: str) -> None:
    for headers in (REMOTE, HERE, {"Host": "evil.example"}, shows(site.tokens["sender"])):
        answer = site.ask(path, headers=headers)
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_metrics_take_the_word_of_their_file_and_tokens_that_read(
    tmp_path: Path, empty_database: Path
) -> None:
    (tmp_path / "word").write_text("long-and-random\n")
    with serving(tmp_path, empty_database, 'token_file = "word"\ntrusted_proxies = ["127.0.0.2"]\n') as site:
        here = {"Host": "localhost"}

        def status(token: str = "", path: str = "/metrics") -> int:
            return site.ask(
                path, headers=here | ({"Authorization": f"Bearer {token}"} if token else {})
            ).status

        assert (status(), status("wrong"), status("long-and-random")) == (401, 401, 200)
        assert [status(site.tokens[role]) for role in ROLES] == [403, 200, 200, 200]
        assert status("long-and-random", "/api/v1/whoami") == 401
        assert status(path="/api/v1/whoami") == 200


def test_a_line_a_request_and_never_its_query(site: Site) -> None:
    with structlog.testing.capture_logs() as lines:
        site.ask(f"/dicom-web/studies/{STUDY}?PatientName=DOE", headers=shows(site.tokens["viewer"]))
        site.ask("/health/live?DOE")
        wait(lambda: len(lines) > 1, 10, "the second line, which comes after the answer")
    line, probe = [line for line in lines if line["event"] == "asked"]
    assert {name: line[name] for name in ("method", "path", "status", "who", "log_level")} == {
        "method": "GET", "path": f"/dicom-web/studies/{STUDY}", "status": 200, "who": "viewer-token", "log_level": "info",
    }  # fmt: skip
    assert line["milliseconds"] >= 0
    assert probe["log_level"] == "debug"
    assert "DOE" not in str(lines)


# ---------------------------------------------------------------- who saw what


def came(site: Site, uid: str) -> str:
    """A study that the node has."""
    with site.node.store.begin() as db:
        db.add(Study(study_instance_uid=uid, received_at=datetime.now(UTC)))
    return uid


def test_a_search_below_a_study_that_never_came_is_no_row(site: Site) -> None:
    before = len(site.events())
    for number in range(5):
        path = f"/dicom-web/studies/1.9.{number}/series"
        assert site.ask(path, headers=shows(site.tokens["viewer"])).status == 200
    assert len(site.events()) == before


def test_who_saw_fetched_and_searched_is_on_record_once_an_hour(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, hour = came(site, "1.2.3.99"), 3600 * 1000.0
    monkeypatch.setattr(sightings.time, "time", lambda: hour)
    viewer, admin = shows(site.tokens["viewer"]), shows(site.tokens["admin"])
    before = len(site.events())

    def ask() -> list[tuple[str, str | None, object]]:
        for headers in (viewer, viewer, admin):
            site.ask(f"/dicom-web/studies/{study}/series/1/instances/1/frames/1", headers=headers)
            site.ask(f"/dicom-web/studies/{study}/series", headers=headers)
            site.ask("/dicom-web/studies?PatientName=DOE", headers=headers)
            site.ask(f"/studies/{study}", headers=headers)
        site.ask(f"/studies/{study}")  # nobody: nothing is shown
        site.ask(f"/dicom-web/studies/{study}", "POST", shows(site.tokens["sender"]))
        return [
            (event, of, detail["by"])
            for event, of, detail in site.events()[before:]
            if event != "user.refused"
        ]

    told = [
        (event, of, by)
        for by in ("viewer-token", "admin-token")
        for event, of in (
            ("study.fetched", study), ("studies.searched", study), ("studies.searched", None), ("study.seen", study),
        )
    ]  # fmt: skip
    assert ask() == told
    assert site.events()[before][2] == {"by": "viewer-token", "way": "token", "address": "203.0.113.5"}
    assert "DOE" not in str(site.events())
    hour += 3600
    assert ask() == told * 2


def test_what_cannot_be_put_on_record_is_not_shown(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(self: Store, action: object) -> None:
        raise OperationalError("", {}, Exception("database is locked"))

    headers = shows(site.tokens["operator"])
    came(site, "1.2.3.77")
    whoami(site, headers)  # its use is on record
    with monkeypatch.context() as patch:
        patch.setattr(Store, "together", locked)
        answer = site.ask("/studies/1.2.3.77", headers=headers)
    assert (answer.status, "seen" in answer.text) == (503, False)
    assert site.ask("/studies/1.2.3.77", headers=headers).status == 200
    assert [of for _, of, _ in site.events("study.seen")].count("1.2.3.77") == 1
