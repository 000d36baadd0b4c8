"""What is asked for by a button: a form of a page, which answers with what came of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from xrv_node.errors import XrvNodeError
from xrv_node.web.api import connection, jobs, studies
from xrv_node.web.node import of
from xrv_node.web.pages.frame import THEME, THEMES, PageRoute, done, own_address

router = APIRouter(route_class=PageRoute, include_in_schema=False)

Text = Annotated[str, Form(max_length=200)]
Numbers = Annotated[list[jobs.Number], Form(max_length=1000)]
Names = Annotated[list[str], Form(max_length=1000)]

_A_YEAR = 365 * 24 * 3600


@router.post("/theme")
def post_theme(request: Request, theme: Text, back: Text = "/") -> Response:
    """Choose a theme, for this browser."""
    answer = RedirectResponse(own_address(back), 303)
    secure = request.url.scheme == "https"
    if theme in THEMES:
        answer.set_cookie(THEME, theme, max_age=_A_YEAR, httponly=True, samesite="strict", secure=secure)
    return answer


@router.post("/jobs/retry")
def post_retry(
    request: Request,
    job: Numbers = [],  # noqa: B006  # FastAPI copies it
    alike: Annotated[jobs.Number | None, Form()] = None,
    destination: Text = "",
) -> Response:
    """Queue jobs again: these, all that failed as one did, all for a destination, or all that are parked."""
    node = of(request)
    if alike is not None:
        found = jobs.retry_alike(node, alike)
    elif job:
        found = jobs.retry(node, job)
    else:
        found = jobs.retry_parked(node, destination or None)
    return done(request, f"queued again: {', '.join(map(str, found['retried'])) or 'none'}", "/jobs")


@router.post("/jobs/cancel")
def post_cancel(
    request: Request,
    job: Numbers = [],  # noqa: B006  # as above
    destination: Text = "",
) -> Response:
    """Give jobs up."""
    found = jobs.cancel(of(request), job, destination or None)
    return done(request, f"cancelled: {', '.join(map(str, found['cancelled']))}", "/jobs")


@router.post("/studies/resend")
def post_resend(request: Request, study: Names, to: Text = "", back: Text = "/studies") -> Response:
    """Send the newest results of studies again."""
    lines, queued = [], 0
    for uid in study:
        try:
            queued += len(studies.resend(of(request), uid, to)["queued"])
        except XrvNodeError as error:
            lines.append(str(error))
    says = (
        f"{queued} results are sent again" if queued else "nothing queued: all of it still waits to be sent"
    )
    return done(request, says if queued or not lines else "nothing was queued", back, lines)


@router.post("/studies/reprocess")
def post_reprocess(request: Request, study: Names, back: Text = "/studies") -> Response:
    """Have studies analysed again."""
    lines, queued = [], 0
    for uid in study:
        try:
            queued += studies.reprocess(of(request), uid)["images"]
        except XrvNodeError as error:
            lines.append(str(error))
    return done(request, f"{queued} images are analysed again", back, lines)


@router.post("/destinations/check")
def post_check(request: Request, destination: Text, back: Text = "/connect") -> Response:
    """Connect to a destination as a delivery would."""
    found = connection.check(of(request), destination)
    says = f"{found['name']}: {'good' if found['good'] else 'FAILED'}"
    return done(request, says, back, found["says"])
