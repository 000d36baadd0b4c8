"""A PACS that is asked what it has of a study: by C-FIND and C-GET, or by DICOMweb."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from time import monotonic

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from xrv_node import http_session, tls
from xrv_node.acceptance.archive import Came
from xrv_node.attributes import text
from xrv_node.deliver.query import QueryRetrieve
from xrv_node.deliver.way import Way
from xrv_node.errors import DestinationError
from xrv_node.result_kinds import KINDS

_SECONDS = 60.0
"""For an answer."""
_MOST_ANSWERS = 1000
"""Series of a study, or objects of a series."""
_MOST_OF_ONE = 256 << 20
"""Bytes of an object: a segmentation of a large detector's image has 13 MB."""
_MOST_BYTES = 8 << 30
"""Of one look."""
_OURS = {str(kind.series_number) for kind in KINDS.values()}
_CLASSES = sorted({uid for kind in KINDS.values() for uid in kind.sop_classes})


@dataclass
class Asked:
    """A PACS with Query/Retrieve; each look is an association."""

    way: Way
    calling_ae: str
    _seen: set[str] = field(default_factory=set)
    """Series that were fetched: the node makes one for each object."""

    @property
    def name(self) -> str:
        """As a person would name it."""
        return f"{self.way}, by C-FIND and C-GET"

    def came(self, studies: Collection[str]) -> list[Came]:
        """What it has of these studies that was not fetched before.

        Raises
        ------
        DestinationError
            It does not answer.
        """
        archive = QueryRetrieve(
            self.way.peer,
            self.calling_ae,
            _CLASSES,
            context=self.way.context,
            seconds=_SECONDS,
            most_seconds=None,
            most_answers=_MOST_ANSWERS,
            most_bytes=_MOST_BYTES,
            most_of_one=_MOST_OF_ONE,
        )
        found: list[Came] = []
        try:
            for study in sorted(studies):
                for series in archive.find(
                    "SERIES", StudyInstanceUID=study, SeriesInstanceUID="", SeriesNumber="", Modality=""
                ):
                    uid = text(series, "SeriesInstanceUID")
                    if text(series, "SeriesNumber") in _OURS and uid not in self._seen:
                        at = monotonic()
                        got = archive.get("SERIES", StudyInstanceUID=study, SeriesInstanceUID=uid)
                        found += [Came(dataset, at) for dataset in got]
        finally:
            archive.close()
        self._seen |= _series(found)
        return found


@dataclass
class AskedWeb:
    """An archive with DICOMweb: QIDO-RS and WADO-RS."""

    url: str
    context: ssl.SSLContext | None = None
    """For https; None: what the system trusts."""
    _seen: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """As a person would name it."""
        return f"{self.url}, by QIDO-RS and WADO-RS"

    def came(self, studies: Collection[str]) -> list[Came]:
        """As `Asked.came`."""
        session = http_session.session(
            self.context or tls.client_context(None), seconds=_SECONDS, most=lambda: _MOST_OF_ONE, proxy=None
        )
        client = DICOMwebClient(self.url.rstrip("/"), session, timeout=_SECONDS)
        try:
            found = [came for study in sorted(studies) for came in self._of(client, study)]
        except (requests.RequestException, http_session.AnswerError, ValueError) as error:
            raise DestinationError(f"{self.url} was not asked ({type(error).__name__})") from error
        finally:
            session.close()
        self._seen |= _series(found)
        return found

    def _of(self, client: DICOMwebClient, study: str) -> Iterator[Came]:
        try:
            series = [Dataset.from_json(one) for one in client.search_for_series(study)]
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code == HTTPStatus.NOT_FOUND:
                return  # nothing of this study yet
            raise
        for one in series:
            uid = text(one, "SeriesInstanceUID")
            if text(one, "SeriesNumber") in _OURS and uid not in self._seen:
                at = monotonic()
                media = (("application/dicom", str(ExplicitVRLittleEndian)),)
                got = client.retrieve_series(study, uid, media)
                yield from (Came(dataset, at) for dataset in got)


def _series(found: Collection[Came]) -> set[str]:
    """Of what the caller gets: where an archive broke off before, it is asked once more."""
    return {text(one.dataset, "SeriesInstanceUID") for one in found}
