"""An archive that is asked with QIDO-RS and answers WADO-RS (PS3.18 chapter 8 and 10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import requests
import structlog
from pydicom import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from xrv_node import http_session, reasons, tls
from xrv_node.deliver.web_query import NotUnderstoodError, WebQuery
from xrv_node.priors.answers import MAX_ANSWERS, MAX_BYTES, MAX_REPORT, NOBODY, report_series
from xrv_node.settings.priors import WebPriors

log = structlog.get_logger("priors")

T = TypeVar("T")


class WebArchive:
    """A DICOMweb service, for all that is asked of it."""

    def __init__(self, section: WebPriors) -> None:
        self._bytes, self._most = 0, MAX_BYTES
        # A Patient ID goes to the configured address and to no other.
        session = http_session.session(
            tls.client_context(None),
            seconds=section.timeout_seconds,
            most=lambda: min(self._most, MAX_BYTES - self._bytes),
            proxy=section.proxy,
        )
        if token := section.token.get_secret_value():
            session.headers["Authorization"] = f"Bearer {token}"
        self._archive = WebQuery(section.url, session, section.timeout_seconds, self._checked)
        self._client = self._archive.client

    def studies(self, patient_id: str, until: str) -> Iterator[Dataset]:
        """QIDO-RS for the patient's studies with structured reports, up to a Study Date."""
        filters = {"PatientID": patient_id, "StudyDate": f"-{until}", "ModalitiesInStudy": "SR"}
        return self._search(
            lambda: self._client.search_for_studies(search_filters=filters, limit=MAX_ANSWERS)
        )

    def reports(self, study_instance_uid: str) -> Iterator[Dataset]:
        """QIDO-RS for the study's series, WADO-RS of each that has the number of this project's reports."""
        series = self._search(
            lambda: self._client.search_for_series(
                study_instance_uid, search_filters={"Modality": "SR"}, limit=MAX_ANSWERS
            )
        )
        for uid in report_series(series):
            yield from self._retrieve(study_instance_uid, uid)

    def check(self) -> None:
        """QIDO-RS for a patient that nobody is. Who has none there may answer with 404, as a wrong URL does:
        here that is an error (PS3.18 10.6.3 has 200 or 204 for a search that finds nothing)."""
        filters = {"PatientID": NOBODY, "ModalitiesInStudy": "SR"}
        try:
            self._client.search_for_studies(search_filters=filters, limit=1)
        except Exception as error:  # from outside: a page of HTML, no JSON
            raise self._archive.failure(error) from None

    def close(self) -> None:
        """Close the connections."""
        self._archive.session.close()

    def _search(self, request: Callable[[], list[dict[str, Any]]]) -> Iterator[Dataset]:
        for item in self._answer(request)[:MAX_ANSWERS]:
            try:
                yield Dataset.from_json(item)
            except Exception as error:  # from outside: anything may be in it
                log.warning("an answer of the archive cannot be read", why=type(error).__name__)

    def _retrieve(self, study: str, series: str) -> list[Dataset]:
        media_types = (("application/dicom", str(ExplicitVRLittleEndian)),)
        self._most = MAX_REPORT
        try:
            return self._answer(lambda: self._client.retrieve_series(study, series, media_types))
        finally:
            self._most = MAX_BYTES

    def _answer(self, request: Callable[[], list[T]]) -> list[T]:
        try:
            return self._archive.answer(request)
        except NotUnderstoodError as error:
            log.warning("an answer of the archive cannot be read", why=reasons.of(error).values["error"])
            return []

    def _checked(self, response: requests.Response, **_: Any) -> requests.Response:
        """Count an answer, and take nothing that grows when it is unpacked."""
        self._bytes += len(response.content)
        if str(DeflatedExplicitVRLittleEndian).encode() in response.content:
            raise ValueError("deflated")
        return response
