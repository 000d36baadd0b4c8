"""What is answered where a request cannot be met."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse


class Problem(Exception):  # noqa: N818  # the word of RFC 9457
    """Ends a request with a status and a sentence.

    Parameters
    ----------
    status
        Of HTTP (RFC 9110 section 15), as PS3.18 names it for the transaction.
    text
        What the client is to change; no patient data and nothing of what it sent but UIDs and names of
        parameters.
    headers
        Of the answer.
    """

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = dict(headers or {})


def misunderstood(error: RequestValidationError) -> str:
    """Which parameters are wrong and how, without what was sent."""
    return "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors())


def refusal(path: str, status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Say why a request is not met: to programs of ``/api`` as a document, else as a line of text."""
    if path.startswith("/api/"):
        return JSONResponse({"detail": text}, status, headers)
    return PlainTextResponse(f"{text}\n", status, headers)
