"""Signing in by the site's own provider: there, and back with a code."""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from xrv_node.db import trail
from xrv_node.reasons import Reason
from xrv_node.web import node as nodes
from xrv_node.web.access import identity, sessions, sign_in
from xrv_node.web.access.provider import Asked, Provider, UnprovenError

log = structlog.get_logger("web")

router = APIRouter(include_in_schema=False)

SECONDS = 600
"""For a person to sign in there."""
MOST = 10_000
"""People on their way at once; beyond them the oldest begin again."""
COOKIE = "__Host-xrv-node-oidc"
"""Says that it is the same browser that comes back: to be sent with a link from the provider, it is Lax."""
FAILED = "Signing in with your account of this site did not succeed; the log of the node says why."


@dataclass(frozen=True, slots=True)
class _Way:
    """A person's way to the provider and back."""

    asked: Asked
    onward: str
    end: float


class Ways:
    """Who is on the way. For many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ways: dict[str, _Way] = {}

    def begin(self, back: str, onward: str) -> Asked:
        """Send somebody off."""
        state, nonce, verifier = (secrets.token_urlsafe(48) for _ in range(3))
        asked = Asked(state, nonce, verifier, back)
        with self._lock:
            while len(self._ways) >= MOST:
                del self._ways[next(iter(self._ways))]
            self._ways[asked.state] = _Way(asked, onward, time.monotonic() + SECONDS)
        return asked

    def end(self, state: str) -> _Way | None:
        """Whoever comes back, once and in time."""
        with self._lock:
            way = self._ways.pop(state, None)
        return None if way is None or way.end < time.monotonic() else way


@router.get("/sign-in/oidc")
def leave(request: Request, next: Annotated[str, Query(max_length=2048)] = "/") -> Response:
    """To the provider."""
    provider: Provider | None = request.app.state.provider
    if provider is None or not sign_in.may_ask(request):
        return sign_in.page_with(request, next, "", HTTPStatus.NOT_FOUND)
    asked = request.app.state.ways.begin(f"{_own(request)}/sign-in/oidc/back", next)
    try:
        answer = RedirectResponse(provider.address(asked), HTTPStatus.SEE_OTHER)
    except UnprovenError as error:
        return _failed(request, error)
    secure = sign_in.is_secure(request)
    answer.set_cookie(_cookie(secure), asked.state, SECONDS, secure=secure, httponly=True, samesite="lax")
    return answer


@router.get("/sign-in/oidc/back")
def come_back(
    request: Request, state: str = "", code: str = "", iss: str | None = None, error: str = ""
) -> Response:
    """From the provider."""
    provider: Provider | None = request.app.state.provider
    known = request.cookies.get(_cookie(sign_in.is_secure(request)), "")
    same = bool(known) and hmac.compare_digest(known.encode(), state.encode())
    way: _Way | None = request.app.state.ways.end(state) if same else None
    if provider is None or way is None:
        return _failed(request, UnprovenError("nobody of this browser is on the way, or it took too long"))
    try:
        if error or not code:
            raise UnprovenError("the provider let nobody in")
        name, role = provider.person(way.asked, code, iss)
    except UnprovenError as why:
        return _failed(request, why)
    node, where = nodes.of(request), identity.address(request)
    with node.store.begin() as db:
        made = sessions.begin(db, node.settings.web, name, role, None)
        trail.record(db, "user.signed_in", by=name, name=name, role=role, address=where, way="oidc")
    # Led on by ourselves: what the provider leads to is sent without the cookie of the session.
    answer = Response(headers={"Refresh": f"0; url={sign_in.within(way.onward)}"}, media_type="text/html")
    sign_in.set_session(answer, request, made)
    answer.delete_cookie(
        _cookie(sign_in.is_secure(request)), secure=sign_in.is_secure(request), httponly=True
    )
    return answer


def _failed(request: Request, why: UnprovenError) -> Response:
    node, where = nodes.of(request), identity.address(request)
    reason = Reason("sign-in-elsewhere-failed")
    if node.repeats.record("user.refused", peer=where, key=reason, address=where, way="oidc"):
        log.warning("nobody was signed in by the provider", why=str(why), address=where)
    return sign_in.page_with(request, "/", FAILED, HTTPStatus.FORBIDDEN)


def _own(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers['host']}"


def _cookie(secure: bool) -> str:
    return COOKIE if secure else COOKIE.removeprefix("__Host-")
