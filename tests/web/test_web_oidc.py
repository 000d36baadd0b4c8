"""Signing in by the site's own OpenID Connect provider: a small one of the tests'."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import structlog
from access_site import Browser, Site, serving
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey

from xrv_node.errors import ConfigError
from xrv_node.web.access import oidc

SECRET = "between-the-two"


@dataclass
class Provider:
    """Says what it is told to, to whoever shows the right code, secret and verifier."""

    port: int = 0
    claims: dict[str, Any] = field(default_factory=dict)
    """Of the next token, in place of the good ones; None takes one away."""
    key: Any = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "1"}))
    signed_by: Any = None
    """Another key than the published one, with its algorithm."""
    issuer: str = ""
    asked: dict[str, str] = field(default_factory=dict)
    """The newest question of a person."""

    def token(self) -> str:
        now = int(time.time())
        good = {
            "iss": self.issuer,
            "aud": "xrv-node",
            "sub": "7",
            "iat": now,
            "exp": now + 60,
            "preferred_username": "dora",
        }
        claims = good | {"nonce": self.asked["nonce"], "roles": ["staff", "radiology-it"]} | self.claims
        key, algorithm = self.signed_by or (self.key, "ES256")
        header = {"alg": algorithm, "kid": "1"}
        return jwt.encode(
            header, {k: v for k, v in claims.items() if v is not None}, key, algorithms=[algorithm]
        )

    def answer(self, path: str, body: str, authorization: str) -> tuple[int, dict[str, Any]]:
        if path.endswith("/.well-known/openid-configuration"):
            parts = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            return 200, {"issuer": self.issuer} | {part: f"{self.issuer}/{part}" for part in parts}
        if path.endswith("/jwks_uri"):
            return 200, KeySet([self.key]).as_dict(private=False)
        sent = dict(parse_qsl(body))
        challenge = (
            base64.urlsafe_b64encode(hashlib.sha256(sent["code_verifier"].encode()).digest())
            .decode()
            .rstrip("=")
        )
        right = base64.b64encode(f"xrv-node:{SECRET}".encode()).decode()
        good = (
            sent["code"] == "the-code"
            and challenge == self.asked["code_challenge"]
            and self.asked["code_challenge_method"] == "S256"
            and sent["redirect_uri"] == self.asked["redirect_uri"]
            and authorization == f"Basic {right}"
        )
        if not good:
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": "a", "token_type": "Bearer", "id_token": self.token()}


@pytest.fixture(scope="module")
def _running() -> Iterator[Provider]:
    made = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            status, answer = made.answer(self.path, body, self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made.port, made.issuer = server.server_port, f"http://127.0.0.1:{server.server_port}/realm"
        yield made
        server.shutdown()


@pytest.fixture
def provider(_running: Provider) -> Provider:
    _running.claims, _running.signed_by = {}, None
    return _running


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path, _running: Provider
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "secret").write_text(f"{SECRET}\n")
    keys = (
        'names = ["node.example"]\ntrusted_proxies = ["127.0.0.1"]\n'
        f'[web.oidc]\nissuer = "{_running.issuer}"\nclient_id = "xrv-node"\nclient_secret_file = "secret"\n'
        'roles = {radiology-it = "admin", staff = "viewer"}\n'
    )
    with serving(folder, empty_database, keys) as made:
        yield made


def leaves(browser: Browser, provider: Provider, onward: str = "/") -> dict[str, str]:
    """Go to the provider; what it is asked."""
    answer = browser.ask(f"/sign-in/oidc?next={onward}")
    assert answer.status == 303
    where = urlsplit(answer.headers["Location"])
    assert where._replace(query="").geturl() == f"{provider.issuer}/authorization_endpoint"
    provider.asked = {name: values[0] for name, values in parse_qs(where.query).items()}
    return provider.asked


def comes_back(browser: Browser, **given: str) -> Any:
    query = "&".join(f"{name}={value}" for name, value in given.items())
    return browser.ask(f"/sign-in/oidc/back?{query}", Sec_Fetch_Site="cross-site")


def test_a_person_of_the_site_signs_in(site: Site, provider: Provider) -> None:
    browser = Browser(site)
    assert "/sign-in/oidc?next=/" in browser.ask("/sign-in").text
    asked = leaves(browser, provider, "/studies/1.2")
    assert {name: asked[name] for name in ("response_type", "client_id", "scope", "redirect_uri")} == {
        "response_type": "code",
        "client_id": "xrv-node",
        "scope": "openid profile",
        "redirect_uri": "https://node.example/sign-in/oidc/back",
    }
    (cookie,) = browser.set
    assert {part.strip().lower() for part in cookie.split(";")[1:]} >= {
        "httponly",
        "secure",
        "path=/",
        "samesite=lax",
    }
    answer = comes_back(browser, state=asked["state"], code="the-code", iss=provider.issuer)
    assert (answer.status, answer.headers["Refresh"]) == (200, "0; url=/studies/1.2")
    assert list(browser.cookies) == ["__Host-xrv-node-form", "__Host-xrv-node"]
    assert (
        "samesite=strict" in next(line for line in browser.set if line.startswith("__Host-xrv-node=")).lower()
    )
    assert '"name":"dora","role":"admin"' in browser.ask("/api/v1/whoami").text
    detail = site.events("user.signed_in")[-1][2]
    assert detail == {"by": "dora", "name": "dora", "role": "admin", "address": "203.0.113.5", "way": "oidc"}
    assert comes_back(browser, state=asked["state"], code="the-code").status == 403  # once


@pytest.mark.parametrize(
    ("claims", "signed_by"),
    [
        ({"nonce": "another"}, None),
        ({"nonce": None}, None),
        ({"aud": "another"}, None),
        ({"iss": "https://another"}, None),
        ({"exp": 1}, None),
        ({"exp": None}, None),
        ({"azp": "another"}, None),
        ({"preferred_username": None}, None),
        ({"preferred_username": ["dora"]}, None),
        ({"preferred_username": "do\nra"}, None),
        ({"roles": ["cleaning"]}, None),
        ({"roles": {"admin": True}}, None),
        ({}, (ECKey.generate_key("P-256", {"kid": "1"}), "ES256")),
        ({}, (OctKey.import_key(SECRET * 3, {"kid": "1"}), "HS256")),
        ({}, (OctKey.import_key(SECRET * 3, {"kid": "1"}), "none")),
    ],
)
def test_a_token_that_does_not_hold_lets_nobody_in(
    site: Site, provider: Provider, claims: dict[str, Any], signed_by: Any
) -> None:
    browser = Browser(site)
    asked = leaves(browser, provider)
    provider.claims, provider.signed_by = claims, signed_by
    with structlog.testing.capture_logs() as lines:
        answer = comes_back(browser, state=asked["state"], code="the-code")
    assert answer.status == 403
    assert oidc.FAILED in answer.text
    assert "__Host-xrv-node" not in browser.cookies
    assert browser.ask("/api/v1/whoami", Accept="*/*").status == 401
    assert not [line for line in lines if "exception" in line]


def test_who_is_not_the_one_that_left_is_not_let_in(site: Site, provider: Provider) -> None:
    victim, attacker = Browser(site), Browser(site)
    asked = leaves(attacker, provider)
    assert comes_back(victim, state=asked["state"], code="the-code").status == 403
    leaves(victim, provider)
    assert comes_back(victim, state=asked["state"], code="the-code").status == 403
    assert comes_back(victim, code="the-code").status == 403
    for given in (
        {"code": "another"},
        {"error": "access_denied"},
        {},
        {"code": "the-code", "iss": "https://another"},
    ):
        browser = Browser(site)
        asked = leaves(browser, provider)
        assert comes_back(browser, state=asked["state"], **given).status == 403


def test_new_keys_of_the_provider_are_asked_for(site: Site, provider: Provider) -> None:
    provider.key = ECKey.generate_key("P-256", {"kid": "2"})
    provider.signed_by = (provider.key, "ES256")
    browser = Browser(site)
    asked = leaves(browser, provider)
    real = jwt.encode

    def with_new_kid(header: dict[str, Any], *more: Any, **options: Any) -> str:
        return real(header | {"kid": "2"}, *more, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jwt, "encode", with_new_kid)
        assert comes_back(browser, state=asked["state"], code="the-code").status == 200
    provider.key = ECKey.generate_key("P-256", {"kid": "1"})


def test_a_claim_may_lie_within_another_and_no_role_may_have_one(
    tmp_path: Path, empty_database: Path, provider: Provider
) -> None:
    keys = (
        f'open_loopback = false\n[web.oidc]\nissuer = "{provider.issuer}"\nclient_id = "xrv-node"\n'
        'client_secret_file = "secret"\nrole_claim = "realm_access.roles"\nname_claim = "email"\nrole = "viewer"\n'
    )
    (tmp_path / "secret").write_text(SECRET)
    with serving(tmp_path, empty_database, keys) as site:
        for claim, role in (
            ({"roles": ["operator", "x"]}, "operator"),
            ({"roles": []}, "viewer"),
            (None, "viewer"),
        ):
            browser = Browser(site, {"Host": "localhost:8080"})
            asked = leaves(browser, provider)
            assert asked["redirect_uri"] == "http://localhost:8080/sign-in/oidc/back"
            provider.claims = {"realm_access": claim, "email": "dora@example.org"}
            assert comes_back(browser, state=asked["state"], code="the-code").status == 200
            assert f'"name":"dora@example.org","role":"{role}"' in browser.ask("/api/v1/whoami").text


def test_a_provider_that_is_none_is_said(tmp_path: Path, empty_database: Path, provider: Provider) -> None:
    keys = f'open_loopback = false\n[web.oidc]\nissuer = "{provider.issuer}/other"\nclient_id = "xrv-node"\n'
    with serving(tmp_path, empty_database, keys) as site, structlog.testing.capture_logs() as lines:
        answer = Browser(site, {"Host": "localhost"}).ask("/sign-in/oidc")
        assert (answer.status, oidc.FAILED in answer.text) == (403, True)
    assert any("another issuer" in str(line.get("why")) for line in lines)
    (tmp_path / "none").mkdir()
    for keys, says in (
        ('issuer = "http://x.example"', "its address begins with https"),
        ('issuer = "https://x.example"\nclient_secret_file = "nowhere"', r"web\.oidc\.client_secret_file"),
    ):
        table = f'[web.oidc]\nclient_id = "a"\n{keys}\n'
        with pytest.raises(ConfigError, match=says), serving(tmp_path / "none", empty_database, table):
            pass


def test_people_on_the_way_are_bounded_in_number_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "MOST", 2)
    ways = oidc.Ways()
    first, second, third = (ways.begin("https://n/back", "/") for _ in range(3))
    assert ways.end(first.state) is None
    assert ways.end(second.state) is not None
    monkeypatch.setattr(oidc.time, "monotonic", lambda: 1e9)
    assert ways.end(third.state) is None
