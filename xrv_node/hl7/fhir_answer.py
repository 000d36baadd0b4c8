"""What a FHIR server says: of a transaction, of why not, and of itself.

Nothing of its free text is kept, which may name the patient.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_CODE = re.compile(r"[a-z][a-z-]{0,30}")
"""Of the severities and types of an issue (R4 value sets issue-severity and issue-type)."""
_PATH = re.compile(r"[A-Za-z0-9_.\[\]]{1,120}")
"""A plain path to an element; an expression that searches may hold values."""
_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Server:
    """What a server states (CapabilityStatement)."""

    version: str
    """Of FHIR; empty where it does not say."""
    transactions: bool


def stored(body: bytes, entries: int) -> bool:
    """Whether each entry of a transaction was stored, or had been (R4 3.1.0.11.2)."""
    answer = _resource(body, "Bundle")
    if answer.get("type") != "transaction-response":
        return False
    said = [str(_table(one.get("response")).get("status", "")) for one in _tables(answer.get("entry"))]
    return len(said) == entries and all(re.match(r"2\d\d\b", one) for one in said)


def issue(body: bytes) -> str:
    """What is wrong, of an OperationOutcome: severity and type of its first error, and the element; empty
    where it is none."""
    found = _tables(_resource(body, "OperationOutcome").get("issue"))
    errors = (one for one in found if one.get("severity") in ("fatal", "error"))
    return " ".join(_words(next(errors, {})))


def server(body: bytes) -> Server | None:
    """What a server says of itself; None where it is no CapabilityStatement."""
    if not (said := _resource(body, "CapabilityStatement")):
        return None
    version = str(said.get("fhirVersion", ""))
    can = {one.get("code") for rest in _tables(said.get("rest")) for one in _tables(rest.get("interaction"))}
    return Server(version if _VERSION.fullmatch(version[:12]) else "", "transaction" in can)


def _words(issue: dict[str, Any]) -> Iterator[str]:
    yield from (word for key in ("severity", "code") if _CODE.fullmatch(word := str(issue.get(key))))
    for key in ("expression", "location"):
        where = issue.get(key)
        if isinstance(where, list) and where and _PATH.fullmatch(str(where[0])):
            yield str(where[0])
            return


def _resource(body: bytes, kind: str) -> dict[str, Any]:
    try:
        found = _table(json.loads(body))
    except (ValueError, RecursionError):
        return {}
    return found if found.get("resourceType") == kind else {}


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _tables(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
