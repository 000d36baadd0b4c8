"""How the interface for programs answers: documents as the commands print them, and errors as documents."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from typing_extensions import TypedDict

from xrv_node import documents
from xrv_node.errors import XrvNodeError

T = TypeVar("T")


class Items(TypedDict, Generic[T]):
    """A list."""

    json_version: int
    """Of the document."""
    items: list[T]
    """What is in it."""


class Answer(JSONResponse):
    """A document with a version, with times and reasons as the commands print them."""

    def render(self, content: Any) -> bytes:
        """As text."""
        return documents.dumps(documents.document(content)).encode()


def wrong(request: Request, error: XrvNodeError) -> tuple[int, str]:
    """The status of an error that a user can cause, and what is said: something that is not there when it is
    asked for, and what cannot be done as things are."""
    return (404 if request.method in ("GET", "HEAD") else 409), str(error)


class ApiRoute(APIRoute):
    """A route whose errors are documents."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler around the route's own."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await handle(request)
            except XrvNodeError as error:
                status, says = wrong(request, error)
                return JSONResponse({"detail": says}, status)

        return guarded
