"""The application: which rooms answer where, and what is answered when something goes wrong."""

from __future__ import annotations

from http import HTTPStatus
from typing import cast

import structlog
from fastapi import FastAPI, Request, Response
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
    """Refuses a header that came whole and is too long all the same, takes a slash at the end of an address
    as none, and lets nothing that breaks reach the server."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        size = len(scope["raw_path"]) + len(scope["query_string"])
        size += sum(len(name) + len(value) for name, value in scope["headers"])
        if size > MAX_HEADER_BYTES:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            answer = refusal(scope["path"], status, f"a header has at most {MAX_HEADER_BYTES >> 10} KB")
            await answer(scope, receive, send)
            return
        if scope["path"] != "/" and scope["path"].endswith("/"):
            scope["path"] = scope["path"].rstrip("/") or "/"
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
