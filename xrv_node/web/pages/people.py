"""The page of who may come, and its buttons."""

from __future__ import annotations

from typing import Annotated, get_args

from fastapi import APIRouter, Form, Request, Response

from xrv_node.settings.access import Role
from xrv_node.web.api import people
from xrv_node.web.node import of
from xrv_node.web.pages.frame import PageRoute, done, page

router = APIRouter(route_class=PageRoute, include_in_schema=False)

Name = Annotated[str, Form(max_length=64)]
PAGE = "/access"


@router.get(PAGE)
def get_access(request: Request) -> Response:
    return page(request, "access", "Access", roles=get_args(Role)[1:], **people.access(of(request)))


@router.post(f"{PAGE}/revoke")
def post_revoke(request: Request, token: Name) -> Response:
    """Let nobody in with a token any more."""
    people.revoke(of(request), token)
    return done(request, f"the token {token} is revoked", PAGE)


@router.post(f"{PAGE}/remove")
def post_remove(request: Request, user: Name) -> Response:
    """Let a person in no more."""
    people.remove(of(request), user)
    return done(request, f"{user} may not sign in any more", PAGE)


@router.post(f"{PAGE}/role")
def post_role(request: Request, user: Name, role: Annotated[Role, Form()]) -> Response:
    """Let a person do more, or less."""
    people.change(of(request), user, role)
    return done(request, f"{user} is {role} from the next sign-in on", PAGE)
