"""STOW-RS to a DICOMweb service (PS3.18 10.5): an object a request, over connections that are kept."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian

from xrv_node import reasons
from xrv_node.deliver import http_service
from xrv_node.deliver.attempt import Attempt, Outcome, from_status
from xrv_node.errors import ConfigError, DestinationError
from xrv_node.network.terms import CONNECT_SECONDS
from xrv_node.reasons import Reason
from xrv_node.settings.destinations import WebDestination
from xrv_node.values import StoredResult

JSON = "application/dicom+json"

WHOLE = 1 << 31
"""Bytes of a request that is not sent in chunks: some services want to know its length (HTTP 411)."""

MAX_ANSWER = 1 << 18
"""Bytes of an answer about one object, which has some hundred."""

_SAYS: dict[int, tuple[Outcome, str]] = {
    404: (Outcome.REJECTED, "http-no-service"),
    405: (Outcome.REJECTED, "http-no-service"),
    409: (Outcome.REJECTED, "http-refused"),
    415: (Outcome.REJECTED, "http-syntax"),
}
"""What HTTP status codes mean of STOW-RS (PS3.18 table 10.5.3-1)."""


class WebSender:
    """Sends results to one DICOMweb service.

    Raises
    ------
    ConfigError
        When a file of its TLS, or its token or password, is missing or wrong.
    """

    def __init__(self, destination: WebDestination, calling_ae: str) -> None:
        self._destination = destination
        self._url = destination.url.rstrip("/")
        self._client: DICOMwebClient | None = None
        self._session().close()  # what is wrong with its files is told before anything is sent

    def send(self, results: Sequence[StoredResult]) -> Iterator[Attempt]:
        """Store each; what the service says of it is its outcome."""
        for number, result in enumerate(results):
            try:
                client = self._open()
            except ConfigError as error:  # a file that is missing can come back
                yield from (Attempt(r, Outcome.TRANSIENT, reasons.of(error)) for r in results[number:])
                return
            yield self._store(client, result)

    def close(self) -> None:
        """Close the connections; token and password are read again for the next ones."""
        if self._client is not None:
            self._client._session.close()
        self._client = None

    def answers(self) -> bool:
        """Whether the service answers a request without an object, and not a gateway in its place."""
        try:
            with self._session() as session:
                code = self._asked(session, min(self._destination.timeout_seconds, http_service.ASK_SECONDS))
        except (requests.RequestException, ConfigError):
            return False
        return code not in http_service.GATEWAYS

    def check(self) -> list[str]:
        """Send a request without an object, which nothing is stored of.

        Raises
        ------
        DestinationError
            When the service cannot be reached, does not let us in, or is none.
        """
        with self._session() as session:
            try:
                code = self._asked(session, self._destination.timeout_seconds)
            except requests.RequestException as error:
                raise DestinationError(f"{self._url}: {http_service.trouble(error, MAX_ANSWER)[1]}") from None
        # Services differ in what they say of a request without content; it is enough that they look at it.
        if code in (401, 403, 404, 405, 501) or code >= 500:
            raise DestinationError(f"{self._url}: {http_service.words(code, _SAYS)[1]}")
        said = f"STOW-RS: HTTP {code} to a request without an object"
        return [said, *http_service.cautions(self._destination, session)]

    def _session(self) -> requests.Session:
        return http_service.session(self._destination, JSON, MAX_ANSWER)

    def _asked(self, session: requests.Session, seconds: float) -> int:
        """The HTTP status of the answer to a request without an object."""
        answer = session.post(
            f"{self._url}/studies",
            data=b"--none--\r\n",
            headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary="none"'},
            timeout=(CONNECT_SECONDS, seconds),
        )
        return answer.status_code

    def _open(self) -> DICOMwebClient:
        if self._client is None:
            timeout = (CONNECT_SECONDS, self._destination.timeout_seconds)
            self._client = DICOMwebClient(
                self._url, self._session(), callback=_plain, chunk_size=WHOLE, timeout=timeout
            )
            self._client.set_http_retry_params(retry=False)  # the queue does that
        return self._client

    def _store(self, client: DICOMwebClient, result: StoredResult) -> Attempt:
        try:
            dataset = dcmread(result.path)
            if dataset.file_meta.TransferSyntaxUID.is_deflated and not self._destination.deflate:
                dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        except (OSError, InvalidDicomError, zlib.error) as error:
            return Attempt(result, Outcome.TRANSIENT, Reason("own-file", error=type(error).__name__))
        try:
            return _said(result, client.store_instances([dataset]))
        except requests.HTTPError as error:
            return _refused(result, error.response)
        except requests.RequestException as error:
            return Attempt(result, *http_service.trouble(error, MAX_ANSWER))
        except Exception as error:  # from outside: its answer can be anything
            reason = Reason("answer-not-understood", error=type(error).__name__)
            return Attempt(result, Outcome.TRANSIENT, reason)


def _said(result: StoredResult, answer: Dataset) -> Attempt:
    """What a Store Instances Response says of the one object of the request (PS3.18 table 10.5.3-2).

    An answer that does not name it proves nothing, whatever its HTTP status: it may be a page to log in at.
    """
    if (failed := _failed(result, answer)) is not None:
        return failed
    for item in answer.get("ReferencedSOPSequence") or ():
        if item.get("ReferencedSOPInstanceUID") == result.sop_instance_uid:
            return from_status(result, int(item.get("WarningReason") or 0))
    return Attempt(result, Outcome.TRANSIENT, Reason("answer-without-object"))


def _failed(result: StoredResult, answer: Dataset) -> Attempt | None:
    for item in answer.get("FailedSOPSequence") or ():
        if item.get("ReferencedSOPInstanceUID", result.sop_instance_uid) == result.sop_instance_uid:
            # The reasons are C-STORE's own statuses (PS3.18 10.5.3.1.2, PS3.4 table B.2-1).
            return from_status(result, int(item.get("FailureReason") or 0xC000))
    return None


def _refused(result: StoredResult, response: requests.Response) -> Attempt:
    """An error status; with one for the whole request there can be a reason for the object (409)."""
    try:
        failed = _failed(result, Dataset.from_json(response.json()))
    except Exception:  # from outside: no JSON, no DICOM
        failed = None
    return failed or Attempt(result, *http_service.words(response.status_code, _SAYS))


def _plain(response: requests.Response, **_: Any) -> requests.Response:
    """The client knows media types without parameters only."""
    media_type = response.headers.get("Content-Type", "")
    response.headers["Content-Type"] = media_type.partition(";")[0].strip().lower()
    return response
