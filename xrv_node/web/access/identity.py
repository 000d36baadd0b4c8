"""Who asks: by what a request shows, and where it comes from."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Literal

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from xrv_node.reasons import Reason
from xrv_node.settings.access import Role
from xrv_node.settings.section import is_loopback
from xrv_node.web.access import sessions, tokens
from xrv_node.web.access.roles import RIGHTS, highest
from xrv_node.web.node import WebNode
from xrv_node.web.who import Who

AE_TITLE = "WEB"
"""Of whoever has none: people, and whoever is on this machine."""

Way = Literal["open", "token", "session", "proxy", "word"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who it is, and how that is known."""

    who: Who
    way: Way
    secret: str = ""
    """The cookie of a session, or the token."""

    @property
    def cookie(self) -> str:
        """Of a session."""
        return self.secret if self.way == "session" else ""


def address(request: HTTPConnection) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else ""


def bearer(request: HTTPConnection) -> str | None:
    """The token that a request shows (RFC 6750 section 2.1), if any."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    return shown.strip() if scheme.lower() == "bearer" else None


def cookie(request: HTTPConnection) -> str:
    """The cookie of a session that it shows, or nothing."""
    secure = request.scope["scheme"] == "https"
    return request.cookies.get(sessions.SECURE if secure else sessions.PLAIN, "")


async def of(request: HTTPConnection, node: WebNode, word: str | None) -> Identity | None:
    """Who sends a request; None where it must show more. A token that is wrong is not let in as anything
    else.

    Parameters
    ----------
    word
        What Prometheus shows, of ``[web] token_file``; counts for ``/metrics`` alone.
    """
    shown, metrics = bearer(request), word is not None and request.scope["path"] == "/metrics"
    if shown is not None:
        if metrics and hmac.compare_digest(shown.encode(), (word or "").encode()):
            return Identity(Who("metrics", "viewer", AE_TITLE, address(request)), "word")
        return await run_in_threadpool(_of_token, request, node, shown)
    if found := _of_proxy(request, node):
        return found
    if cookie(request) and (found := await run_in_threadpool(_of_session, request, node)):
        return found
    if is_here(request) and node.settings.web.open_loopback and not metrics:
        return Identity(Who("", "admin", AE_TITLE, address(request)), "open")
    return None


def holds(found: Identity, node: WebNode) -> bool:
    """Whether it is still let in: a session or a token may have ended since."""
    with node.store.read() as db:
        if found.way == "session":
            return sessions.find(db, node.settings.web, found.secret) is not None
        return found.way != "token" or tokens.find(db, found.secret) is not None


def is_here(request: HTTPConnection) -> bool:
    """Whether it comes from this machine, and not through a proxy on it, as far as that says so."""
    return not request.scope["state"]["through"] and is_loopback(address(request))


def _of_token(request: HTTPConnection, node: WebNode, shown: str) -> Identity | None:
    where = address(request)
    with node.store.read() as db:
        found = tokens.find(db, shown)
    if found is None:
        node.repeats.record(
            "user.refused", peer=where, key=Reason("token-is-wrong"), address=where, way="token"
        )
        return None
    if tokens.is_to_be_noted(found):
        node.store.together(lambda db: tokens.note(db, found))
    role: Role = found.role  # type: ignore[assignment]
    return Identity(Who(found.name, role, found.ae_title, where), "token", shown)


def _of_proxy(request: HTTPConnection, node: WebNode) -> Identity | None:
    web, headers = node.settings.web, request.headers
    name = headers.get(web.proxy_user_header, "").strip() if web.proxy_user_header else ""
    if not name or not request.scope["state"]["proxy"]:
        return None
    given = headers.get(web.proxy_role_header, "") if web.proxy_role_header else ""
    known: dict[str, Role] = {role: role for role in RIGHTS} | web.proxy_roles
    told = [known[word] for one in given.split(",") if (word := one.strip()) in known]
    role = highest(told) or web.proxy_role
    return Identity(Who(name[:64], role, AE_TITLE, address(request)), "proxy")


def _of_session(request: HTTPConnection, node: WebNode) -> Identity | None:
    shown = cookie(request)
    with node.store.read() as db:
        found = sessions.find(db, node.settings.web, shown)
    if found is None:
        return None
    if found.is_to_be_noted:
        node.store.together(lambda db: sessions.note(db, shown))
    return Identity(Who(found.name, found.role, AE_TITLE, address(request)), "session", shown)
