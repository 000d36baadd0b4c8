"""Signing in and out, and what ends a session."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from access_site import HERE, PASSWORD, REMOTE, Browser, Site, serving
from sqlalchemy import select, update

from xrv_node.db.access_tables import WebSession, WebUser
from xrv_node.web.access import guard, sessions, sign_in, tokens, users
from xrv_node.web.access.throttle import MOST_KEYS, Throttle

KEYS = 'names = ["node.example"]\ntrusted_proxies = ["127.0.0.1"]\nopen_loopback = false\n'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Site]:
    """Behind a proxy with TLS."""
    with serving(tmp_path_factory.mktemp("site"), empty_database, KEYS, routes=("/jobs/1/retry",)) as made:
        yield made


@pytest.fixture(autouse=True)
def _rested(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test is throttled for what another tried."""
    throttles = sign_in.Throttles()
    monkeypatch.setattr(sign_in, "_throttles", lambda request: throttles)


def csrf(browser: Browser) -> str:
    return str(re.findall(r'"csrf":"(\w*)"', browser.ask("/api/v1/whoami").text)[0])


def signed_in(site: Site, name: str = "viewer") -> Browser:
    browser = Browser(site)
    assert browser.sign_in(name).status == 303
    return browser


def test_a_person_signs_in_and_out(site: Site) -> None:
    browser = Browser(site)
    answer = browser.sign_in(" Operator", onward="/studies/1.2")
    assert (answer.status, answer.headers["Location"]) == (303, "/studies/1.2")
    (cookie,) = browser.set
    assert cookie.startswith("__Host-xrv-node=")
    assert {part.strip().lower() for part in cookie.split(";")[1:]} == {
        "httponly",
        "secure",
        "path=/",
        "samesite=strict",
    }
    assert '"name":"operator","role":"operator"' in browser.ask("/api/v1/whoami").text
    assert browser.ask("/sign-in?next=/jobs").headers["Location"] == "/jobs"
    kept = browser.cookies["__Host-xrv-node"]
    assert browser.ask("/sign-out", "POST", {"csrf": csrf(browser)}).headers["Location"] == "/sign-in"
    assert "__Host-xrv-node" not in browser.cookies
    browser.cookies["__Host-xrv-node"] = kept  # whatever the browser keeps
    assert browser.ask("/api/v1/whoami", Accept="*/*").status == 401
    named = [
        (event, detail.get("name"), detail.get("by"))
        for event, _, detail in site.events()
        if event in ("user.signed_in", "user.signed_out")
    ]
    assert named[-2:] == [
        ("user.signed_in", "operator", "operator"),
        ("user.signed_out", "operator", "operator"),
    ]


def test_the_database_has_no_cookie_in_it(site: Site) -> None:
    browser = signed_in(site)
    with site.node.store.read() as db:
        rows = db.scalars(select(WebSession.sha256)).all()
    assert sessions.digest(browser.cookies["__Host-xrv-node"]) in rows
    assert browser.cookies["__Host-xrv-node"] not in rows


def test_all_failures_get_one_answer(site: Site) -> None:
    answers = [
        Browser(site).sign_in(*given)
        for given in (("viewer", "wrong"), ("nobody", PASSWORD), ("", ""), ("a\0b", "\xff"))
    ]
    texts = {re.sub(r'value="[^"]*"', "", answer.text) for answer in answers}
    assert {answer.status for answer in answers} == {401}
    assert len(texts) == 1
    assert sign_in.WRONG in texts.pop()
    (first, *_) = site.events("user.refused")
    assert first[2] == {"address": "203.0.113.5", "way": "password", "name": "viewer"}
    site.node.repeats.flush()
    assert site.events("user.refused")[-1][2]["repeated"] == 3
    assert "nobody" not in str(site.events())


def test_a_name_that_there_is_not_is_as_much_work(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []
    hasher = users.passwords._HASHER
    real = type(hasher).verify
    monkeypatch.setattr(
        type(hasher), "verify", lambda self, kept, word: verified.append(kept[:27]) or real(self, kept, word)
    )
    for name in ("viewer", "nobody"):
        Browser(site).sign_in(name, "wrong")
    assert len(verified) == 2
    assert verified[0] == verified[1]  # the same parameters


def test_passwords_go_over_tls_or_not_at_all(site: Site) -> None:
    plain = Browser(site, {"X-Forwarded-For": "203.0.113.5"})
    page = plain.ask("/sign-in")
    assert sign_in.NO_TLS in page.text
    assert "<form" not in page.text
    form = next(iter(plain.cookies.values()))
    sent = plain.ask("/sign-in", "POST", {"form": form, "name": "viewer", "password": PASSWORD})
    assert sent.status == 403
    assert sign_in.NO_TLS in sent.text
    published = Browser(
        site, {"X-Forwarded-For": "172.17.0.1", "Host": "localhost:8080"}
    )  # of a container's port
    assert published.sign_in("viewer").status == 303
    here = Browser(site, HERE)
    assert here.sign_in("viewer").status == 303
    (cookie,) = here.set
    assert cookie.startswith("xrv-node=")
    assert "secure" not in cookie.lower()
    assert here.ask("/api/v1/whoami").status == 200


def test_a_form_of_another_page_signs_nobody_in(site: Site) -> None:
    browser = Browser(site)
    given = {"name": "viewer", "password": PASSWORD}
    assert browser.ask("/sign-in", "POST", given | {"form": ""}).status == 403
    assert browser.ask("/sign-in", "POST", given | {"form": "guessed"}).status == 403
    assert browser.ask("/sign-in", "POST", given, Sec_Fetch_Site="cross-site").status == 403
    big = browser.ask("/sign-in", "POST", given | {"form": "x" * 100_000})
    assert (big.status, browser.ask("/api/v1/whoami", Accept="*/*").status) == (403, 401)


@pytest.mark.parametrize(
    "onward",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\/evil",
        "evil",
        "",
        "/a\r\nb: c",
        "/?next=//e",
    ],
)
def test_nobody_is_led_elsewhere(site: Site, onward: str) -> None:
    assert Browser(site).sign_in("viewer", onward=onward).headers["Location"] == "/"


def test_markup_in_an_address_is_text(site: Site) -> None:
    page = Browser(site).ask("/sign-in?next=/%22%3E%3Cscript%3E1%3C/script%3E").text
    assert "<script" not in page
    assert "&lt;script" in page


def test_what_changes_something_shows_the_token_of_its_page(site: Site) -> None:
    browser = signed_in(site, "operator")
    token = csrf(browser)
    assert browser.ask("/jobs/1/retry", "POST").status == 403
    assert browser.ask("/jobs/1/retry", "POST", {"csrf": "wrong"}).status == 403
    assert browser.ask("/jobs/1/retry", "POST", {"csrf": csrf(signed_in(site, "operator"))}).status == 403
    assert browser.ask("/jobs/1/retry", "POST", {"csrf": "\xe9"}).status == 403
    assert browser.ask("/jobs/1/retry", "POST", {"csrf": token}).status == 200
    assert browser.ask("/jobs/1/retry", "POST", X_CSRF_Token=token).status == 200
    assert (
        browser.ask(f"/jobs/1/retry?csrf={token}", "POST").status == 403
    )  # addresses are kept and handed on
    assert browser.ask("/jobs/1/retry", "POST", {"csrf": token}, Sec_Fetch_Site="same-site").status == 403
    assert (
        site.ask(
            "/jobs/1/retry", "POST", REMOTE | {"Authorization": f"Bearer {site.tokens['operator']}"}
        ).status
        == 200
    )


@pytest.mark.parametrize(
    ("first", "status"),
    [
        ('Content-Disposition: form-data; name="csrf"\r\n\r\nTOKEN', 200),
        ('content-disposition: form-data; name="csrf"\r\n\r\nwrong', 403),
        ('Content-Disposition: form-data; name="file"; filename="csrf"\r\n\r\nTOKEN', 403),
        ('Content-Disposition: form-data; name="other"\r\n\r\nTOKEN', 403),
        ("", 403),
    ],
)
def test_a_form_with_files_shows_it_first_and_arrives_whole(site: Site, first: str, status: int) -> None:
    browser = signed_in(site, "operator")
    part = 'Content-Disposition: form-data; name="file"; filename="a.dcm"\r\n\r\n' + "x" * 300_000
    body = f"--b\r\n{first.replace('TOKEN', csrf(browser))}\r\n--b\r\n{part}\r\n--b--\r\n"
    sent = REMOTE | {"Content-Type": "multipart/form-data; boundary=b"}
    sent["Cookie"] = f"__Host-xrv-node={browser.cookies['__Host-xrv-node']}"
    answer = site.ask("/jobs/1/retry", "POST", sent, body)
    assert answer.status == status
    if status == 200:
        assert answer.text == f"seen {len(body)}"


@pytest.mark.parametrize("cookie", ["", "x", "a" * 43, "\xe9", '"', "A" * 5000])
def test_a_cookie_that_is_none_is_nobody(site: Site, cookie: str) -> None:
    browser = Browser(site)
    browser.cookies = {"__Host-xrv-node": cookie}
    assert browser.ask("/api/v1/whoami", Accept="*/*").status == 401


def test_a_cookie_of_the_plain_name_is_none_with_tls(site: Site) -> None:
    """Another site of the same host may set one, of that name alone."""
    browser = signed_in(site)
    browser.cookies = {"xrv-node": browser.cookies["__Host-xrv-node"]}
    assert browser.ask("/api/v1/whoami", Accept="*/*").status == 401


@pytest.mark.parametrize("what", ["role", "password", "removed"])
def test_who_is_changed_or_removed_is_signed_out(site: Site, what: str) -> None:
    with site.node.store.begin() as db:
        users.add(db, "dora", "viewer", PASSWORD)
    browser = signed_in(site, "dora")
    assert browser.ask("/api/v1/whoami").status == 200
    with site.node.store.begin() as db:
        if what == "role":
            users.set_role(db, "dora", "admin")
        elif what == "password":
            users.set_password(db, "dora", PASSWORD)
    with site.node.store.begin() as db:
        users.remove(db, "dora")
    assert browser.ask("/api/v1/whoami", Accept="*/*").status == 401
    assert Browser(site).sign_in("dora").status == 401


@pytest.mark.parametrize("way", ["session", "token"])
def test_a_stream_ends_with_its_session_or_token(
    site: Site, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "LOOK_SECONDS", 0.0)
    browser = signed_in(site)
    with site.node.store.begin() as db:
        shown = tokens.add(db, "streaming", "viewer", "WEB")
    cookie = {"Cookie": f"__Host-xrv-node={browser.cookies['__Host-xrv-node']}"}
    sent = (
        REMOTE
        | {"Host": "node.example"}
        | (cookie if way == "session" else {"Authorization": f"Bearer {shown}"})
    )
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
    connection.request("GET", "/events/endless", headers=sent)
    answer = connection.getresponse()
    assert answer.read(20) == b"x\n" * 10
    if way == "session":
        browser.ask("/sign-out", "POST", {"csrf": csrf(browser)})
    with site.node.store.begin() as db:
        tokens.revoke(db, "streaming")
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        answer.read()
    connection.close()


@pytest.mark.parametrize(
    ("column", "ago", "status"),
    [
        ("seen_at", timedelta(minutes=29), 200),
        ("seen_at", timedelta(minutes=31), 401),
        ("created_at", timedelta(hours=11), 200),
        ("created_at", timedelta(hours=13), 401),
    ],
)
def test_a_session_ends_idle_and_in_any_case(site: Site, column: str, ago: timedelta, status: int) -> None:
    browser = signed_in(site)
    digest = sessions.digest(browser.cookies["__Host-xrv-node"])
    then = datetime.now(UTC) - ago
    with site.node.store.begin() as db:
        db.execute(update(WebSession).where(WebSession.sha256 == digest).values({column: then}))
    assert browser.ask("/api/v1/whoami", Accept="*/*").status == status
    with site.node.store.begin() as db:
        row = db.get(WebSession, digest)
        assert row is not None
        if (column, status) == ("seen_at", 200):
            assert row.seen_at > then  # it is in use again
        sessions.begin(db, site.node.settings.web, "x", "viewer", None)  # forgets those that are over
    with site.node.store.read() as db:
        assert (db.get(WebSession, digest) is None) == ((column, status) == ("created_at", 401))


def test_a_hash_of_old_parameters_is_made_anew(site: Site) -> None:
    old = users.passwords._HASHER.__class__(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD)
    with site.node.store.begin() as db:
        db.execute(update(WebUser).where(WebUser.name == "admin").values(password=old))
    signed_in(site, "admin")
    with site.node.store.read() as db:
        user = db.scalars(select(WebUser).where(WebUser.name == "admin")).one()
    assert "t=1," in user.password
    assert user.seen_at is not None
    signed_in(site, "admin")


def test_too_many_tries_wait(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    throttles = sign_in.Throttles()
    throttles.name = Throttle(2, 900, lambda: clock[0])
    monkeypatch.setattr(sign_in, "_throttles", lambda request: throttles)
    for _ in range(2):
        assert Browser(site).sign_in("viewer", "wrong").status == 401
    for name in ("viewer", "VIEWER "):
        answer = Browser(site).sign_in(name)  # also with the right one
        assert (answer.status, answer.headers["Retry-After"]) == (429, "901")
        assert "wait 15 minutes" in answer.text
    assert Browser(site).sign_in("operator").status == 303
    clock[0] = 901
    assert Browser(site).sign_in("viewer").status == 303
    throttles.address = Throttle(1, 900, lambda: clock[0])
    assert Browser(site).sign_in("operator").status == 303
    assert Browser(site).sign_in("admin").status == 429
    elsewhere = Browser(site, REMOTE | {"X-Forwarded-For": "198.51.100.1"})
    assert elsewhere.sign_in("admin").status == 303


def test_a_throttle_counts_tries_and_forgets_them() -> None:
    clock = [100.0]
    throttle = Throttle(2, 10, lambda: clock[0])
    assert [throttle.turn("a"), throttle.turn("a"), throttle.turn("a"), throttle.turn("b")] == [0, 0, 10, 0]
    clock[0] = 105
    assert throttle.turn("a") == 5
    throttle.forget("a")
    assert throttle.turn("a") == 0
    for number in range(MOST_KEYS):
        throttle.turn(str(number))
    assert len(throttle._tries) == MOST_KEYS
    clock[0] = 111
    assert throttle.turn("b") == 0
