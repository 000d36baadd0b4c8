"""The site's OpenID Connect provider: where it is asked, and what it says of a person.

The code flow with PKCE, state and nonce (OpenID Connect Core 1.0 section 3.1, RFC 7636, RFC 9207).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from xrv_node import http_session, secret, tls
from xrv_node.errors import ConfigError
from xrv_node.settings.access import OidcSection, Role
from xrv_node.web.access.roles import RIGHTS, highest

SECONDS, MOST_BYTES = 10, 1 << 20
"""For an answer of the provider's."""
KEPT_SECONDS = 3600
"""How long its addresses and keys are not asked for again."""
LEEWAY_SECONDS = 60
"""By which its clock may differ from ours."""
SIGNED_BY = [
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
]
"""Signatures that only the provider can make: none that is no signature, or that our own secret makes."""


class UnprovenError(Exception):
    """What the provider says does not hold, or cannot be asked; the text is for the log."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person was sent to the provider with, to compare with what comes back."""

    state: str
    nonce: str
    verifier: str
    back: str
    """The address to which the provider sends the person back."""


class Provider:
    """One for a process. For many threads."""

    def __init__(self, section: OidcSection) -> None:
        """Raises ConfigError where the extra is not installed, or a file of the table is missing or wrong."""
        try:
            import authlib  # noqa: F401
        except ModuleNotFoundError as error:
            raise ConfigError("web.oidc needs authlib: pip install 'xrv-node[oidc]'") from error
        self._section = section
        self._context = tls.of_client(section.tls, "web.oidc.tls")
        self._known: tuple[float, dict[str, Any]] = (-KEPT_SECONDS, {})
        if section.client_secret_file is not None:
            secret.read(section.client_secret_file, "web.oidc.client_secret_file")

    def address(self, asked: Asked) -> str:
        """Where a person signs in.

        Raises
        ------
        UnprovenError
            When the provider cannot be asked where.
        """
        where = self._metadata()["authorization_endpoint"]
        found, _ = self._client().create_authorization_url(
            where, state=asked.state, nonce=asked.nonce, code_verifier=asked.verifier, redirect_uri=asked.back
        )
        return str(found)

    def person(self, asked: Asked, code: str, issuer: str | None) -> tuple[str, Role]:
        """Who has signed in there, and what that person may here.

        Parameters
        ----------
        code, issuer
            Of the address that the person came back with.

        Raises
        ------
        UnprovenError
            When the provider does not vouch for anybody, or for nobody who may come.
        """
        if issuer is not None and issuer != self._section.issuer:
            raise UnprovenError("another provider answers")
        metadata = self._metadata()
        try:
            tokens = self._client().fetch_token(
                metadata["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                code_verifier=asked.verifier,
                redirect_uri=asked.back,
            )
        except Exception as error:  # of two libraries, and of what the provider sends
            raise UnprovenError(f"the code is not taken ({type(error).__name__})") from error
        return self._of(self._claims(str(tokens.get("id_token", "")), asked.nonce))

    def _claims(self, token: str, nonce: str) -> Mapping[str, Any]:
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError, JoseError

        section = self._section
        registry = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": section.issuer},
            aud={"essential": True, "value": section.client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            try:
                claims = jwt.decode(token, self._keys(), algorithms=SIGNED_BY).claims
            except InvalidKeyIdError:  # it has new ones
                self._known = (-KEPT_SECONDS, {})
                claims = jwt.decode(token, self._keys(), algorithms=SIGNED_BY).claims
            registry.validate(claims)
        except (JoseError, ValueError) as error:
            raise UnprovenError(f"its token does not hold ({type(error).__name__})") from error
        if claims.get("azp", section.client_id) != section.client_id:
            raise UnprovenError("its token is for another client")
        return claims

    def _of(self, claims: Mapping[str, Any]) -> tuple[str, Role]:
        section = self._section
        name, given = _within(claims, section.name_claim), _within(claims, section.role_claim)
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise UnprovenError(f"its token has no name in the claim {section.name_claim}")
        words = given if isinstance(given, list) else str(given or "").replace(",", " ").split()
        known: dict[str, Role] = {role: role for role in RIGHTS} | section.roles
        role = highest([known[word] for word in words if isinstance(word, str) and word in known])
        if (found := role or section.role) == "":
            raise UnprovenError(f"its token gives no role in the claim {section.role_claim}")
        return name.strip()[:64], found

    def _keys(self) -> Any:
        from joserfc.jwk import KeySet

        try:
            return KeySet.import_key_set(self._metadata()["jwks"])
        except (ValueError, TypeError, KeyError) as error:
            raise UnprovenError("its keys cannot be read") from error

    def _metadata(self) -> dict[str, Any]:
        """Its addresses and keys (OpenID Connect Discovery 1.0 section 4)."""
        since, known = self._known
        if time.monotonic() - since < KEPT_SECONDS and known:
            return known
        issuer = self._section.issuer
        try:
            with self._session() as session:
                found = dict(session.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration").json())
                if found.get("issuer") != issuer:
                    raise UnprovenError(f"it calls itself another issuer than web.oidc.issuer, {issuer}")
                found["jwks"] = session.get(found["jwks_uri"]).json()
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise UnprovenError(f"the provider does not answer as one ({type(error).__name__})") from error
        self._known = time.monotonic(), found
        return found

    def _session(self) -> requests.Session:
        return http_session.session(
            self._context, seconds=SECONDS, most=lambda: MOST_BYTES, proxy=self._section.proxy
        )

    def _client(self) -> Any:
        """A client of OAuth 2 that speaks over our own kind of session."""
        from authlib.integrations.requests_client import OAuth2Session

        section, within = self._section, self._session()
        file = section.client_secret_file
        word = None if file is None else secret.read(file, "web.oidc.client_secret_file")
        how = "none" if word is None else "client_secret_basic"
        made = OAuth2Session(
            section.client_id,
            word,
            token_endpoint_auth_method=how,
            scope=section.scope,
            code_challenge_method="S256",
        )
        made.trust_env, made.max_redirects, made.proxies = False, 0, within.proxies
        made.headers["Accept-Encoding"] = "identity"
        for prefix, adapter in within.adapters.items():
            made.mount(prefix, adapter)
        return made


def _within(claims: Mapping[str, Any], path: str) -> Any:
    """A claim, or one within others; a name with dots in it counts first."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
