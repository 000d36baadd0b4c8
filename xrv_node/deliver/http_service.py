"""What senders over HTTP share: a session with a destination's login, TLS and proxy, what answers mean."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from http.client import responses
from typing import IO
from urllib.parse import urlsplit

import requests
from requests.auth import HTTPBasicAuth

from xrv_node import http_session, secret, tls
from xrv_node.deliver.association import tls_context
from xrv_node.deliver.attempt import Outcome
from xrv_node.errors import ConfigError
from xrv_node.reasons import Reason
from xrv_node.settings.http_service import HttpService

ASK_SECONDS = 20.0
"""How long a service that was away may take to say anything."""

GATEWAYS = (502, 503, 504)
"""What stands in for a service that is away (RFC 9110 15.6.3 to 15.6.5)."""

_SAYS: dict[int, tuple[Outcome, str]] = {
    401: (Outcome.REJECTED, "http-login"),
    403: (Outcome.REJECTED, "http-may-not-store"),
    408: (Outcome.TRANSIENT, "http-waited"),
    413: (Outcome.REJECTED, "http-too-large"),
    425: (Outcome.TRANSIENT, "http-not-yet"),
    429: (Outcome.TRANSIENT, "http-too-many"),
    501: (Outcome.REJECTED, "http-cannot-store"),
}
"""What HTTP status codes mean of any service, and the key of the reason (RFC 9110 section 15, RFC 6585)."""


def words(code: int, own: Mapping[int, tuple[Outcome, str]], said: str = "") -> tuple[Outcome, Reason]:
    """What an HTTP status says of an object.

    Parameters
    ----------
    own
        What it means of this kind of service, beside what it means of any.
    said
        What the service says of it itself, without patient data.
    """
    # 5xx is the server's own trouble (RFC 9110 15.6), any other code something that a person must see to.
    otherwise = (Outcome.TRANSIENT if code >= 500 else Outcome.REJECTED, "http-status")
    outcome, key = own.get(code) or _SAYS.get(code, otherwise)
    http = f"HTTP {code} {responses.get(code, '')}".strip()
    return outcome, Reason(key, http=f"{http}; {said}" if said else http)


def trouble(error: requests.RequestException, most: int) -> tuple[Outcome, Reason]:
    """What it means that there is no answer at all. The library's own texts quote what was sent.

    Parameters
    ----------
    most
        Bytes that the answer was allowed.
    """
    if isinstance(error, requests.TooManyRedirects):
        return Outcome.REJECTED, Reason("sends-elsewhere")
    if isinstance(error, http_session.AnswerError):
        return Outcome.TRANSIENT, Reason("web-answer-too-large", most=most >> 10)
    if isinstance(error, requests.exceptions.SSLError):
        return Outcome.TRANSIENT, Reason("web-no-tls")
    if isinstance(error, requests.Timeout):
        return Outcome.TRANSIENT, Reason("web-no-answer-in-time")
    return Outcome.TRANSIENT, Reason("web-no-answer", error=type(error).__name__)


def session(
    destination: HttpService,
    accept: str,
    most: int | Callable[[], int],
    keep: Callable[[], IO[bytes]] = io.BytesIO,
) -> requests.Session:
    """Open a session with one service; what is in files is read anew.

    Parameters
    ----------
    accept
        Media type of its answers.
    most
        Bytes that an answer may have; or what tells how many the next one may.
    keep
        As ``http_session.session`` has it.

    Raises
    ------
    ConfigError
        When a file of its TLS, or its token or password, is missing or wrong.
    """
    made = http_session.session(
        tls_context(destination) or tls.client_context(None),
        seconds=destination.timeout_seconds,
        most=most if callable(most) else lambda: most,
        proxy=destination.proxy,
        keep=keep,
    )
    made.headers["Accept"] = accept
    made.auth = _login(destination)
    return made


def cautions(destination: HttpService, session: requests.Session) -> list[str]:
    """What a person should know of how a service is reached, a line each."""
    if session.auth is not None and urlsplit(destination.url).scheme == "http":
        return ["caution: token or password go over the network in the clear; use https"]
    return []


class _Bearer(requests.auth.AuthBase):
    """A bearer token (RFC 6750 section 2.1)."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _login(destination: HttpService) -> requests.auth.AuthBase | None:
    key = destination.key
    if destination.token_file is not None:
        return _Bearer(secret.read(destination.token_file, f"{key}.token_file"))
    if variable := destination.token_variable:
        if not (token := os.environ.get(variable, "").strip()):
            raise ConfigError(f"{key}.token_variable: the environment has no {variable}")
        return _Bearer(token)
    if destination.user is not None and destination.password_file is not None:
        password = secret.read(destination.password_file, f"{key}.password_file")
        return HTTPBasicAuth(destination.user, password)
    return None
