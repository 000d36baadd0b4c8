"""What stands before every route: is the request meant for us, who sends it, and may they."""

from __future__ import annotations

import hmac
from contextlib import nullcontext
from http import HTTPStatus
from time import monotonic
from typing import Any
from urllib.parse import quote

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xrv_node.db import trail
from xrv_node.web.access import forms, identity, sessions
from xrv_node.web.access.forwarded import Forwarded
from xrv_node.web.access.identity import AE_TITLE, Identity
from xrv_node.web.access.origins import is_foreign, known_host
from xrv_node.web.access.roles import READING, RIGHTS, Right, least, needed
from xrv_node.web.access.sightings import Sightings
from xrv_node.web.node import WebNode
from xrv_node.web.problem import refusal as refused
from xrv_node.web.who import Who

log = structlog.get_logger("web")

LOOK_SECONDS = 30.0
"""Between two looks whether the session or token of an answer that goes on still holds."""
PROBES = ("/health/", "/metrics")
"""Asked for by whatever name a probe knows the node; they hold nothing of a patient."""
FORM_HEADER, FORM_FIELD = "x-csrf-token", "csrf"
"""Where a request of a signed-in browser that changes something shows the token of its pages: in the header,
or a field of the form, the first of one with files."""
SHOWN = ("Content-Location", "Location", "Warning", "Retry-After", "ETag", "Content-Range", "Accept-Ranges")
"""Headers that pages of the allowed origins may read, beside those that they always may."""


def guarded(app: ASGIApp, node: WebNode, word: str | None) -> ASGIApp:
    """Put the guards before an application, the outermost last.

    Parameters
    ----------
    word
        As :func:`identity.of` takes it.
    """
    web = node.settings.web
    inner: ASGIApp = Guard(app, node, word)
    inner = CORSMiddleware(
        inner,
        allow_origins=web.allowed_origins,
        allow_methods=("GET", "HEAD", "POST", "OPTIONS"),
        allow_headers=("Authorization", "Accept", "Content-Type", "Range", "If-None-Match"),
        expose_headers=SHOWN,
    )
    inner = _Meant(inner, node)
    return Forwarded(_Logged(inner), web.trusted_proxies)


class _Logged:
    """A line a request, without its query, which may name a patient."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = monotonic(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            path, who = scope["path"], scope["state"].get("who")
            tell = log.debug if path.startswith(PROBES) else log.info
            tell(
                "asked",
                method=scope["method"],
                path=path[:256],
                status=int(status),
                milliseconds=round((monotonic() - began) * 1000),
                who=(who and who.name) or identity.address(HTTPConnection(scope)),
            )


class _Meant:
    """Refuses what was sent to another name than ours, or by a stranger's page."""

    def __init__(self, app: ASGIApp, node: WebNode) -> None:
        web = node.settings.web
        self._app = app
        self._names = frozenset((*web.names, web.host.lower()))
        self._origins = frozenset(web.allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        request = HTTPConnection(scope)
        if not scope["path"].startswith(PROBES) and not known_host(
            request.headers.get("host", ""), self._names
        ):
            says = "the address names another host: add the name to web.names if it is this node's"
            return refused(scope["path"], HTTPStatus.MISDIRECTED_REQUEST, says)
        if is_foreign(scope["method"], scope["scheme"], request.headers, self._origins):
            says = "a page of another site asks: add its origin to web.allowed_origins if it may"
            return refused(scope["path"], HTTPStatus.FORBIDDEN, says)
        return None


class Guard:
    """Lets a request through to its route with who sends it, or answers in the route's place."""

    def __init__(self, app: ASGIApp, node: WebNode, word: str | None) -> None:
        self._app, self._node, self._word = app, node, word
        self._sightings = Sightings(node.store)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, right = HTTPConnection(scope), needed(scope["method"], scope["path"])
        if right is Right.NONE:
            scope["state"]["who"] = Who("", "sender", AE_TITLE, identity.address(request))
            await self._app(scope, receive, send)
            return
        found = await identity.of(request, self._node, self._word)
        refusal: Response | None = None
        if found is None:
            refusal = _unknown(request)
        elif right not in RIGHTS[found.who.role]:
            refusal = refused(scope["path"], HTTPStatus.FORBIDDEN, f"this needs the role {least(right)}")
        elif found.cookie and scope["method"] not in READING:
            shown, receive = await _form_token(request, receive)
            if not hmac.compare_digest(shown.encode(), sessions.form_token(found.cookie).encode()):
                says = "the page is of another session: load it again"
                refusal = refused(scope["path"], HTTPStatus.FORBIDDEN, says)
        if found is None or refusal is not None:
            await (refusal or _unknown(request))(scope, receive, send)
            return
        await self._let_in(found, scope, receive, send)

    async def _let_in(self, found: Identity, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] |= {
            "who": found.who,
            "way": found.way,
            "csrf": sessions.form_token(found.cookie) if found.cookie else "",
            "cookie": found.cookie,
        }
        person = found.who.name or found.who.address
        named: Any = nullcontext() if scope["method"] in READING else trail.asked_by(person)
        with named:
            await self._app(
                scope, receive, self._sightings.watching(found, scope, self._holding(found, send))
            )

    def _holding(self, found: Identity, send: Send) -> Send:
        """A `send` that ends an answer of hours, as a stream of events is, with the session or token."""
        looked = monotonic()

        async def held(message: Message) -> None:
            nonlocal looked
            if monotonic() - looked > LOOK_SECONDS:
                looked = monotonic()
                if not await run_in_threadpool(identity.holds, found, self._node):
                    raise OSError("signed out")  # as where the client went away
            await send(message)

        return held if found.secret else send


async def _form_token(request: HTTPConnection, receive: Receive) -> tuple[str, Receive]:
    in_header = request.headers.get(FORM_HEADER)
    if in_header is not None:
        return in_header, receive
    found, again = await forms.fields(request.headers, receive)
    return found.get(FORM_FIELD, ""), again


def _unknown(request: HTTPConnection) -> Response:
    """To a page, where to sign in; else how to (RFC 6750 section 3)."""
    path, headers = request.scope["path"], request.headers
    for_people = "text/html" in headers.get("accept", "") and not path.startswith(("/api/", "/dicom-web"))
    if request.scope["method"] == "GET" and for_people:
        there = f"/sign-in?next={quote(path)}"
        if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
            return RedirectResponse(there, HTTPStatus.SEE_OTHER)
        # A link of another site's: the browser keeps the cookie of a session back until we lead on ourselves.
        return Response(headers={"Refresh": f"0; url={there}"}, media_type="text/html")
    wrong = ', error="invalid_token"' if identity.bearer(request) is not None else ""
    says = {"WWW-Authenticate": f'Bearer realm="xrv-node"{wrong}'}
    return refused(path, HTTPStatus.UNAUTHORIZED, "sign in, or show a token (Authorization: Bearer)", says)
