"""What every page has: its frame, its theme, and how an error is told on one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from datetime import date
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute

from xrv_node.db import queries
from xrv_node.errors import XrvNodeError
from xrv_node.templates import render
from xrv_node.web import who
from xrv_node.web.access.roles import RIGHTS, Right, needed
from xrv_node.web.api import span
from xrv_node.web.api.answer import wrong
from xrv_node.web.node import of
from xrv_node.web.problem import Problem, misunderstood

NAVIGATION = (
    ("/", "Overview"),
    ("/studies", "Studies"),
    ("/jobs", "Jobs"),
    ("/fetches", "Fetches"),
    ("/trail", "Trail"),
    ("/models", "Models"),
    ("/settings", "Settings"),
    ("/statistics", "Statistics"),
    ("/connect", "Connect"),
    ("/access", "Access"),
)
"""The pages, in this order."""

THEMES = ("auto", "light", "dark")
"""By the browser's own preference, or always one."""
THEME = "theme"
"""The cookie with one of them."""


def page(request: Request, name: str, title: str, code: int = 200, **values: object) -> HTMLResponse:
    """Fill a page's template.

    Parameters
    ----------
    name
        Of a file in ``templates/web``.
    title
        Of the page: nothing of a patient, for titles are in the browser's history.
    """
    node, asks = of(request), who.of(request)
    rights = RIGHTS[asks.role]
    with node.store.read() as db:
        commissioning = queries.commissioning(db)
    text = render(
        f"web/{name}.html",
        title=title,
        path=request.url.path,
        navigation=[one for one in NAVIGATION if needed("GET", one[0]) in rights],
        themes=THEMES,
        theme=theme(request),
        node_name=node.settings.node.name,
        who=asks,
        may_act=Right.OPERATE in rights,
        csrf=request.state.csrf,
        commissioning=commissioning,
        **values,
    )
    return HTMLResponse(text, code)


def done(request: Request, says: str, back: str, lines: Sequence[str] = ()) -> HTMLResponse:
    """Tell what came of a button, and lead back to its page."""
    return page(request, "done", "Done", says=says, lines=lines, back=own_address(back))


def day(name: str, given: str) -> date | None:
    """Read a day that a form sends, or none.

    Raises
    ------
    Problem
        400: it is none.
    """
    try:
        found = date.fromisoformat(given) if given else None
    except ValueError:
        raise Problem(400, f"{name}: a day is written as 2026-01-31") from None
    if found and not span.FIRST <= found <= span.LAST:
        raise Problem(400, f"{name}: a day from {span.FIRST} to {span.LAST}")
    return found


def theme(request: Request) -> str:
    """The theme that was chosen."""
    chosen = request.cookies.get(THEME, THEMES[0])
    return chosen if chosen in THEMES else THEMES[0]


def own_address(back: str) -> str:
    """Where to go back to: an address of ours, whatever was asked for."""
    return back if back.startswith("/") and not back.startswith(("//", "/\\")) and back.isprintable() else "/"


class PageRoute(APIRoute):
    """A route whose errors are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler around the route's own."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await handle(request)
            except XrvNodeError as error:
                code, says = wrong(request, error)
                return page(request, "problem", "Not possible", code, says=says)
            except Problem as problem:
                answer = page(request, "problem", "Not possible", problem.status, says=problem.text)
                answer.headers.update(problem.headers)
                return answer
            except RequestValidationError as error:
                return page(request, "problem", "Not possible", 400, says=misunderstood(error))

        return guarded
