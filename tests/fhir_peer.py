"""A FHIR server of the tests' own: it holds what comes to another maker's models and to our own tables of R4, and
creates what it has not."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs

import fhir_r4
from fhir.resources.R4B.bundle import Bundle
from http_peer import serving

JSON = "application/fhir+json"


def outcome(code: str, words: str = "", *where: str, severity: str = "error") -> bytes:
    """An OperationOutcome of one issue."""
    issue: dict[str, Any] = {"severity": severity, "code": code, "diagnostics": words}
    return json.dumps(
        {"resourceType": "OperationOutcome", "issue": [issue | ({"expression": where} if where else {})]}
    ).encode()


@dataclass
class Server:
    """What came, what it holds, and what a test wants it to answer."""

    port: int = 0
    version: str = "4.0.1"
    interactions: tuple[str, ...] = ("transaction", "batch")
    patients: tuple[str, ...] = ()
    """`system|value` of those that it knows."""
    code: int | None = None
    body: bytes | None = None
    """An answer in place of its own; and its status."""
    seconds: float = 0
    held: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Resources by type and the query by which they are looked for."""
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def get(self, path: str) -> tuple[int, bytes]:
        if path != "/fhir/metadata":
            return 404, outcome("not-found")
        can = [{"code": one} for one in self.interactions]
        said = {"resourceType": "CapabilityStatement", "fhirVersion": self.version,
                "rest": [{"mode": "server", "interaction": can}]}  # fmt: skip
        return 200, json.dumps(said).encode()

    def post(self, path: str, media: str, body: bytes) -> tuple[int, bytes]:
        if (path, media) != ("/fhir", JSON):
            return 404, outcome("not-found")
        bundle = json.loads(body)
        Bundle.model_validate(bundle)
        fhir_r4.check(bundle, "Bundle")
        for reference in references(bundle):
            if reference.startswith("Patient?"):
                (wanted,) = parse_qs(reference.partition("?")[2])["identifier"]
                if wanted not in self.patients:
                    return 412, outcome("not-found", f"no {wanted}", "Bundle.entry[0].resource.subject")
        return 200, self._created(bundle)

    def _created(self, bundle: dict[str, Any]) -> bytes:
        said = []
        for entry in bundle["entry"]:
            request, resource = entry["request"], entry["resource"]
            assert request["method"] == "POST"
            assert request["url"] == resource["resourceType"]
            (system_and_value,) = parse_qs(request["ifNoneExist"])["identifier"]
            (identifier,) = resource["identifier"]
            assert system_and_value == f"{identifier['system']}|{identifier['value']}"
            key = f"{request['url']}?{system_and_value}"
            said.append({"response": {"status": "200 OK" if key in self.held else "201 Created"}})
            self.held.setdefault(key, resource)
        links = {entry["fullUrl"] for entry in bundle["entry"]}
        assert len(links) == len(bundle["entry"])
        assert {one for one in references(bundle) if one.startswith("urn:uuid:")} <= links
        answer = {"resourceType": "Bundle", "type": "transaction-response", "entry": said}
        return json.dumps(answer).encode()


def references(value: Any) -> list[str]:
    """All literal references below a value."""
    if isinstance(value, list):
        return [one for each in value for one in references(each)]
    if not isinstance(value, dict):
        return []
    own = [value["reference"]] if "reference" in value and isinstance(value["reference"], str) else []
    return own + [one for each in value.values() for one in references(each)]


@contextmanager
def server(context: ssl.SSLContext | None = None, **options: Any) -> Iterator[Server]:
    """Run a `Server` on this machine, over TLS where a context is given."""
    made, gone = Server(**options), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"", lambda: made.get(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(body, lambda: made.post(self.path, self.headers["Content-Type"], body))

        def _answer(self, body: bytes, own: Any) -> None:
            made.requests.append((self.command, self.path, dict(self.headers), body))
            gone.wait(made.seconds)
            try:
                code, said = own()
            except (AssertionError, ValueError) as error:
                code, said = 422, outcome("invalid", str(error))
            code = code if made.code is None else made.code
            said = said if made.body is None else made.body
            self.send_response(code)
            self.send_header("Content-Type", JSON)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with serving(Handler, gone, context) as made.port:
        yield made
