"""The application: which rooms answer where, and what is answered when something goes wrong."""

from __future__ import annotations

from http import HTTPStatus
from typing import cast

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import HTTPException as FastApiError
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xrv_node.product import VERSION
from xrv_node.web import api, health, pages
from xrv_node.web.access import oidc, sign_in
from xrv_node.web.access.guard import guarded
from xrv_node.web.access.headers import SafeHeaders
from xrv_node.web.access.provider import Provider
from xrv_node.web.connection import MAX_HEADER_BYTES
from xrv_node.web.dicomweb import qido, stow, wado
from xrv_node.web.dicomweb.address import PREFIX
from xrv_node.web.document import Described
from xrv_node.web.node import WebNode
from xrv_node.web.problem import Problem, misunderstood, refusal

log = structlog.get_logger("web")

MOST_BODY = 4 << 20
"""Bytes of a body that is read into memory: all but what STOW-RS takes from the socket to the disk."""
_BROKEN = "the node could not answer; see the log"


def application(node: WebNode) -> FastAPI:
    """Put the rooms together.

    Raises
    ------
    ConfigError
        When the file of ``[web] token_file`` cannot be read or is empty.
    """
    app = Described(
        title="xrv-node",
        version=VERSION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # these pages fetch scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.node = node
    app.state.registry = health.registry(node.settings, node.store)
    app.include_router(health.router)
    app.include_router(sign_in.router)
    app.include_router(oidc.router)
    app.state.ways = oidc.Ways()
    app.state.provider = Provider(node.settings.web.oidc) if node.settings.web.oidc else None
    app.include_router(qido.router, prefix=PREFIX, include_in_schema=False)
    app.include_router(wado.router, prefix=PREFIX, include_in_schema=False)
    app.include_router(api.router, prefix="/api/v1")
    app.include_router(pages.router)
    app.include_router(stow.router, prefix=PREFIX, include_in_schema=False)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _misunderstood)
    app.add_middleware(guarded, node=node, word=health.word(node.settings))
    app.add_middleware(_Bounded)
    app.add_middleware(SafeHeaders)
    return app


class _Bounded:
    """Refuses what no route has to look at, takes a slash at the end of an address as none, ends a body that
    would fill the memory, and lets nothing that breaks reach the server."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if why := _unreadable(scope):
            log.info("not met", status=int(why[0]), why=why[1], path=scope["path"][:256])
            answer = refusal(scope["path"], *why, {"Connection": "close"})
            await answer(scope, receive, send)
            return
        if scope["path"] != "/" and scope["path"].endswith("/"):
            scope["path"] = scope["path"].rstrip("/") or "/"
        if not scope["path"].startswith(PREFIX + "/"):
            receive = _ending(receive)
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, sent)
        except ClientDisconnect:
            log.info("a client went away", path=scope["path"])
        except Exception:
            log.exception("could not answer", path=scope["path"])
            if begun:
                raise  # the server cuts what was begun, so that no half looks whole
            answer = refusal(scope["path"], HTTPStatus.SERVICE_UNAVAILABLE, _BROKEN)
            await answer(scope, receive, send)


def _unreadable(scope: Scope) -> tuple[HTTPStatus, str] | None:
    """Status and sentence of a request whose header alone says that it is none for us."""
    names = {name for name, _ in scope["headers"]}
    size = len(scope["raw_path"]) + len(scope["query_string"])
    size += sum(len(name) + len(value) for name, value in scope["headers"])
    if size > MAX_HEADER_BYTES:
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        return status, f"a header has at most {MAX_HEADER_BYTES >> 10} KB"
    if not scope["path"].isprintable():  # a line's end is none to the routes, and one to who watches them
        return HTTPStatus.BAD_REQUEST, "the address holds control characters"
    if {b"content-length", b"transfer-encoding"} <= names:  # a proxy may see another end (RFC 9112 6.1)
        return HTTPStatus.BAD_REQUEST, "the body has two lengths: Content-Length and Transfer-Encoding"
    return None


def _ending(receive: Receive) -> Receive:
    """A `receive` that gives no more than `MOST_BODY` of a body."""
    size = 0

    async def ended() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MOST_BODY:
            says = f"a body has at most {MOST_BODY >> 20} MB here"
            close = {"Connection": "close"}
            raise FastApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, says, close)  # any other it takes for 400
        return message

    return ended


def _problem(request: Request, error: Exception) -> Response:
    problem = cast(Problem, error)
    log.info("not met", status=problem.status, why=problem.text, path=request.url.path[:256])
    return refusal(request.url.path, problem.status, problem.text, problem.headers)


def _refused(request: Request, error: Exception) -> Response:
    refused = cast(HTTPException, error)
    return refusal(request.url.path, refused.status_code, str(refused.detail), refused.headers)


def _misunderstood(request: Request, error: Exception) -> Response:
    says = misunderstood(cast(RequestValidationError, error))
    return refusal(request.url.path, HTTPStatus.BAD_REQUEST, says)
