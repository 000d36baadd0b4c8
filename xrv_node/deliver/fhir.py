"""FHIR R4: the readable report as a transaction of its resources, a report a request."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import requests
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from xrv_node import reasons
from xrv_node.deliver import http_service
from xrv_node.deliver.attempt import Attempt, Outcome
from xrv_node.errors import ConfigError, DestinationError
from xrv_node.hl7 import fhir, fhir_answer
from xrv_node.network.terms import CONNECT_SECONDS
from xrv_node.reasons import Reason
from xrv_node.settings.destinations import FhirDestination
from xrv_node.values import StoredResult

JSON = "application/fhir+json"

MAX_ANSWER = 1 << 24
"""Bytes of an answer: a CapabilityStatement names all that a server can search by."""

VERSIONS = ("4.0", "4.3")
"""R4 and R4B, which have the same of these resources."""

_SAYS: dict[int, tuple[Outcome, str]] = {
    **{code: (Outcome.REJECTED, "fhir-refused") for code in (400, 404, 409, 410, 412, 422)},
    406: (Outcome.REJECTED, "fhir-no-json"),
    415: (Outcome.REJECTED, "fhir-no-json"),
}
"""What HTTP status codes mean of a transaction (R4 3.1.0)."""

_NOBODY = {code: (Outcome.REJECTED, "fhir-no-service") for code in (404, 405, 410)}
"""What they mean where no FHIR server says so."""


class FhirSender:
    """Sends readable reports to one server.

    Raises
    ------
    ConfigError
        When the extra ``fhir`` is not installed; when a file of its TLS, or its token or password, is missing
        or wrong.
    """

    def __init__(self, destination: FhirDestination, calling_ae: str) -> None:
        if not fhir.installed():
            raise ConfigError(f"destinations.{destination.name}.kind: {fhir.MISSING}: {fhir.REMEDY}")
        self._destination = destination
        self._url = destination.url.rstrip("/")
        self._site = fhir.Site(
            destination.patient_system, destination.accession_system, destination.find_patient
        )
        self._kept: requests.Session | None = None
        self._session().close()  # what is wrong with its files is told before anything is sent

    def send(self, results: Sequence[StoredResult]) -> Iterator[Attempt]:
        """Store each; what the server says of it is its outcome."""
        for result in results:
            try:
                made = fhir.build(dcmread(result.path), self._site)
            except (OSError, InvalidDicomError, zlib.error, AttributeError, LookupError) as error:
                yield Attempt(result, Outcome.TRANSIENT, Reason("own-file", error=type(error).__name__))
            except ValueError as error:
                yield Attempt(result, Outcome.REJECTED, Reason("fhir-not-valid", where=str(error)))
            else:
                yield Attempt(result, *self._store(made))

    def close(self) -> None:
        """Close the connections; token and password are read again for the next ones."""
        if self._kept is not None:
            self._kept.close()
        self._kept = None

    def answers(self) -> bool:
        """Whether the server says what it is, and not a gateway in its place."""
        try:
            with self._session() as session:
                seconds = min(self._destination.timeout_seconds, http_service.ASK_SECONDS)
                answer = self._asked(session, seconds)
        except (requests.RequestException, ConfigError):
            return False
        return answer.status_code not in http_service.GATEWAYS

    def check(self) -> list[str]:
        """Ask the server what it is, and send nothing.

        Raises
        ------
        DestinationError
            When it cannot be reached, does not let us in, is none, or not of R4.
        """
        with self._session() as session:
            try:
                answer = self._asked(session, self._destination.timeout_seconds)
            except requests.RequestException as error:
                raise DestinationError(f"{self._url}: {http_service.trouble(error, MAX_ANSWER)[1]}") from None
        if answer.status_code != requests.codes.ok:
            raise DestinationError(f"{self._url}: {_words(answer)[1]}")
        if (said := fhir_answer.server(answer.content)) is None:
            raise DestinationError(f"{self._url}: {Reason('fhir-no-service', http='no CapabilityStatement')}")
        if not said.version.startswith(VERSIONS):
            raise DestinationError(f"{self._url}: {Reason('fhir-version', version=said.version or '?')}")
        lines = [f"FHIR {said.version}: it says what it is; no report was sent"]
        if not said.transactions:
            lines.append("caution: it does not say that it takes transactions, which reports go as")
        return lines + http_service.cautions(self._destination, session)

    def _session(self) -> requests.Session:
        return http_service.session(self._destination, JSON, MAX_ANSWER)

    def _asked(self, session: requests.Session, seconds: float) -> requests.Response:
        return session.get(f"{self._url}/metadata", timeout=(CONNECT_SECONDS, seconds))

    def _store(self, made: fhir.Transaction) -> tuple[Outcome, Reason | None]:
        try:
            if self._kept is None:
                self._kept = self._session()
            answer = self._kept.post(
                self._url,
                data=made.data,
                headers={"Content-Type": JSON, "Prefer": "return=minimal"},
                timeout=(CONNECT_SECONDS, self._destination.timeout_seconds),
            )
        except ConfigError as error:  # a file that is missing can come back
            return Outcome.TRANSIENT, reasons.of(error)
        except requests.RequestException as error:
            return http_service.trouble(error, MAX_ANSWER)
        if not 200 <= answer.status_code < 300:
            return _words(answer)
        if fhir_answer.stored(answer.content, made.entries):
            return Outcome.DELIVERED, None
        return Outcome.TRANSIENT, Reason("fhir-no-answer")  # it may be a page to log in at


def _words(answer: requests.Response) -> tuple[Outcome, Reason]:
    issue = fhir_answer.issue(answer.content)
    return http_service.words(answer.status_code, _SAYS if issue else _SAYS | _NOBODY, issue)
