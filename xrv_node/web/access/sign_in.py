"""Signing in and out: a page that works without scripts."""

from __future__ import annotations

import hmac
import secrets
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from xrv_node.db import trail
from xrv_node.db.access_tables import WebUser
from xrv_node.reasons import Reason
from xrv_node.settings.section import is_loopback
from xrv_node.templates import render
from xrv_node.web import node as nodes
from xrv_node.web.access import forms, identity, sessions, users
from xrv_node.web.access.throttle import Throttle
from xrv_node.web.node import WebNode

router = APIRouter(include_in_schema=False)

BY_ADDRESS, BY_NAME, WITHIN = 30, 10, 900
"""Tries of an address, which many people may share, and of a name, and the seconds in which they are counted.
NIST SP 800-63B-4 section 3.2.2 wants a name to have at most 100 in a row."""
FORM_SECONDS = 3600

WRONG = "The name or the password is wrong."
NO_TLS = "Passwords are not asked for without TLS: open the node by https."
STALE = "The page was open for too long, or the browser keeps no cookies: try again."


class Throttles:
    """How often passwords were tried here."""

    def __init__(self) -> None:
        self.address, self.name = Throttle(BY_ADDRESS, WITHIN), Throttle(BY_NAME, WITHIN)

    def wait(self, address: str, name: str) -> float:
        """Count a try; the seconds to wait, where it is one too many."""
        return self.address.turn(address) or self.name.turn(name)


@router.get("/sign-in")
def page(request: Request, next: Annotated[str, Query(max_length=2048)] = "/") -> Response:
    """Where to sign in; who has already is led on."""
    node, cookie = nodes.of(request), identity.cookie(request)
    if cookie:
        with node.store.read() as db:
            if sessions.find(db, node.settings.web, cookie):
                return RedirectResponse(within(next), HTTPStatus.SEE_OTHER)
    return page_with(request, next, "")


@router.get("/sign-in/style.css")
def style() -> Response:
    """What it looks like."""
    return Response(_style(), media_type="text/css", headers={"Cache-Control": "max-age=3600"})


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Sign in, by a form with ``name`` and ``password``."""
    given, _ = await forms.fields(request.headers, request.receive)
    onward = given.get("next", "/")
    shown, known = given.get("form", ""), request.cookies.get(_form_cookie(request), "")
    if not known or not hmac.compare_digest(shown.encode(), known.encode()):
        return page_with(request, onward, STALE, HTTPStatus.FORBIDDEN)
    return await run_in_threadpool(_sign_in, request, given, onward)


@router.post("/sign-out")
def sign_out(request: Request) -> Response:
    """Sign out: the session ends here, whatever the browser keeps."""
    node, cookie = nodes.of(request), request.state.cookie
    if cookie:
        with node.store.begin() as db:
            sessions.end(db, cookie)
            where = identity.address(request)
            trail.record(db, "user.signed_out", name=request.state.who.name, address=where)
    answer = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
    secure = is_secure(request)
    answer.delete_cookie(_session_cookie(request), secure=secure, httponly=True, samesite="strict")
    return answer


def _sign_in(request: Request, given: dict[str, str], onward: str) -> Response:
    node, where = nodes.of(request), identity.address(request)
    if not may_ask(request):
        return page_with(request, onward, NO_TLS, HTTPStatus.FORBIDDEN)
    name = given.get("name", "").strip().lower()[: users.MOST_LETTERS]
    throttles = _throttles(request)
    if wait := throttles.wait(where, name):
        says = f"Too many tries: wait {round(wait / 60) or 1} minutes."
        answer = page_with(request, onward, says, HTTPStatus.TOO_MANY_REQUESTS)
        answer.headers["Retry-After"] = str(round(wait) + 1)
        return answer
    user = users.check(node.store, name, given.get("password", ""))
    if user is None:
        _record_failure(node, where, name)
        return page_with(request, onward, WRONG, HTTPStatus.UNAUTHORIZED)
    throttles.name.forget(name)
    return _welcome(request, node, user, given["password"], onward)


def _welcome(request: Request, node: WebNode, user: WebUser, password: str, onward: str) -> Response:
    with node.store.begin() as db:
        users.note(db, user, password)
        made = sessions.begin(db, node.settings.web, user.name, user.role, user.id)  # type: ignore[arg-type]
        where = identity.address(request)
        trail.record(db, "user.signed_in", by=user.name, name=user.name, role=user.role, address=where)
    answer = RedirectResponse(within(onward), HTTPStatus.SEE_OTHER)
    set_session(answer, request, made)
    return answer


def _record_failure(node: WebNode, where: str, name: str) -> None:
    """A name is on record where there is one: people type passwords there too."""
    with node.store.read() as db:
        known = {"name": name} if users.exists(db, name) else {}
    why = Reason("password-is-wrong")
    node.repeats.record("user.refused", peer=where, key=why, address=where, way="password", **known)


def page_with(request: Request, onward: str, says: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """The page, with what went wrong, if anything did."""
    form = secrets.token_urlsafe(16)
    may = may_ask(request)
    text = render(
        "access/sign_in.html",
        says=says if may else NO_TLS,
        open=may,
        elsewhere=request.app.state.provider is not None,
        form=form,
        next=within(onward),
    )
    answer = HTMLResponse(text, status)
    if status is HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="xrv-node"'
    _set(answer, request, _form_cookie(request), form, FORM_SECONDS)
    return answer


def set_session(answer: Response, request: Request, made: str) -> None:
    """Let the browser keep the cookie of a session."""
    _set(answer, request, _session_cookie(request), made)


def _set(answer: Response, request: Request, name: str, value: str, seconds: int | None = None) -> None:
    answer.set_cookie(
        name, value, seconds, secure=is_secure(request), httponly=True, samesite="strict", path="/"
    )


def within(onward: str) -> str:
    """A path of ours; anything else, which may lead to another host, is the first page."""
    good = onward.startswith("/") and not onward.startswith(("//", "/\\")) and onward.isprintable()
    return onward if good and "\\" not in onward and "?" not in onward else "/"


def may_ask(request: Request) -> bool:
    """Whether a password crosses no network in clear; from a browser to its own machine it does not."""
    asked = request.url.hostname or ""
    return is_secure(request) or is_loopback(identity.address(request)) or is_loopback(asked)


def is_secure(request: Request) -> bool:
    """Whether it came by TLS, to us or to a trusted proxy."""
    return bool(request.scope["scheme"] == "https")


def _session_cookie(request: Request) -> str:
    return sessions.SECURE if is_secure(request) else sessions.PLAIN


def _form_cookie(request: Request) -> str:
    return f"{_session_cookie(request)}-form"


def _throttles(request: Request) -> Throttles:
    state = request.app.state
    if not hasattr(state, "throttles"):
        state.throttles = Throttles()
    found: Throttles = state.throttles
    return found


@cache
def _style() -> bytes:
    return (files("xrv_node.templates") / "access" / "sign_in.css").read_bytes()
