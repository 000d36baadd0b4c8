"""What is answered where a request cannot be met."""

from __future__ import annotations

from collections.abc import Mapping


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
