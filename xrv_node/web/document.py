"""The OpenAPI document: what may be asked of the node as JSON, and in which form it refuses."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

_REFUSALS = {
    400: "A parameter or the body is not as described; the text names it",
    401: "Nobody is signed in, and no token is shown",
    403: "The role does not suffice, or another site's page asks",
    404: "There is no such thing",
    409: "Its state does not allow it",
    413: "The body is too large",
    415: "The body is of another type",
    421: "The address names another host",
    503: "The node cannot answer now; its log says why",
}
"""By status, for any operation: a document with a sentence (`problem.refusal`)."""
_SENTENCE = {
    "application/json": {
        "schema": {"type": "object", "required": ["detail"], "properties": {"detail": {"type": "string"}}}
    }
}


class Described(FastAPI):
    """An application whose document says of refusals what is so: FastAPI's own has 422."""

    def openapi(self) -> dict[str, Any]:
        """Make the document, once."""
        if self.openapi_schema is None:
            made = super().openapi()
            for operations in made.get("paths", {}).values():
                for operation in operations.values():
                    good = {status: one for status, one in operation["responses"].items() if status < "3"}
                    operation["responses"] = good | _refusals()
            for name in ("HTTPValidationError", "ValidationError"):
                made.get("components", {}).get("schemas", {}).pop(name, None)
            self.openapi_schema = made
        return self.openapi_schema


def _refusals() -> dict[str, Any]:
    return {str(status): {"description": says, "content": _SENTENCE} for status, says in _REFUSALS.items()}
