"""An archive that is asked with QIDO-RS and gives by WADO-RS (PS3.18 10.6 and 10.4)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import requests
from pydicom import Dataset
from pynetdicom import dsutils

from xrv_node import http_session
from xrv_node.deliver import http_service
from xrv_node.deliver.web_query import WebQuery, status
from xrv_node.errors import DestinationError
from xrv_node.fetch import one_part
from xrv_node.fetch.archive import MAX_ANSWERS, NOBODY, Give
from xrv_node.fetch.desk import Desk, Image, outcome
from xrv_node.reasons import Reason
from xrv_node.receive.instance_rows import Incoming
from xrv_node.settings.archives import WebArchive, WebArchiveOfPriors

PAGE = 100
"""Answers that are asked for at once: fewer than any archive gives at most."""
MAX_BYTES = 16 << 20
"""Of such an answer: a study in it has one or two kilobytes."""
BESIDE = 1 << 16
"""What an answer of WADO-RS has beside the object."""
_CHUNK = 1 << 16
_IN_MEMORY = 1 << 20
_ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""As it is stored (PS3.18 8.7.3.5.2)."""
_OF_ALL = (401, 403, 408, 429)
"""Not logged in, not allowed, too slow, too fast: what holds for whatever is asked for next. Of others below
500, what is asked for is the matter."""

Search = Callable[..., list[dict[str, Any]]]


class Service:
    """A DICOMweb service, for all that is asked of it.

    Parameters
    ----------
    most_of_one
        Bytes of an object.
    drafts
        Where what is large lies until it is looked at.
    """

    def __init__(self, section: WebArchive, most_of_one: int, drafts: Path) -> None:
        self._name, self._drafts, self._most_of_one = section.name, drafts, most_of_one
        self._most = MAX_BYTES
        drafts.mkdir(parents=True, exist_ok=True)
        keep = partial(tempfile.SpooledTemporaryFile, _IN_MEMORY, dir=drafts)
        session = http_service.session(section, "application/dicom+json", lambda: self._most, keep)
        if isinstance(section, WebArchiveOfPriors) and (token := section.token.get_secret_value()):
            session.headers["Authorization"] = f"Bearer {token}"
        self._archive = WebQuery(section.url, session, section.timeout_seconds)

    def studies(self, **matches: str) -> list[Dataset]:
        """QIDO-RS for studies."""
        return self._found(self._archive.client.search_for_studies, matches, absent=False)

    def series(self, study: str) -> list[Dataset]:
        """QIDO-RS for the series of a study."""
        return self._found(partial(self._archive.client.search_for_series, study))

    def images(self, study: str, series: str) -> list[Dataset]:
        """QIDO-RS for the objects of a series."""
        return self._found(partial(self._archive.client.search_for_instances, study, series))

    @contextmanager
    def giving(self, classes: Collection[str], desk: Desk) -> Iterator[Give]:
        """Within this it gives, whatever the classes are."""
        self._most = self._most_of_one + BESIDE
        try:
            yield lambda image: self._give(image, desk)
        finally:
            self._most = MAX_BYTES

    def check(self) -> None:
        """QIDO-RS for a patient that nobody is."""
        self.studies(PatientID=NOBODY)

    def close(self) -> None:
        """Close the connections."""
        self._archive.session.close()

    def _found(
        self, search: Search, matches: Mapping[str, str] = {}, *, absent: bool = True
    ) -> list[Dataset]:
        """Page after page, until one is not full or says nothing new."""
        found: dict[str, Dataset] = {}
        while True:

            def page(offset: int = len(found)) -> list[Dataset]:
                answers = search(search_filters=dict(matches), limit=PAGE, offset=offset)
                return [Dataset.from_json(one) for one in answers]

            answers = self._archive.answer(page, absent=absent)
            before = len(found)
            found |= {_uid(answer): answer for answer in answers}
            if len(found) > MAX_ANSWERS:
                raise DestinationError(Reason("archive-without-end", archive=self._archive.url))
            if len(answers) < PAGE or len(found) == before:
                return list(found.values())

    def _give(self, image: Image, desk: Desk) -> Reason | None:
        try:
            response = self._ask(image)
        except http_session.AnswerError:
            return Reason("archive-says-too-much", archive=self._archive.url)
        except requests.RequestException as error:
            if (code := status(error)) and code < 500 and code not in _OF_ALL:
                return Reason("archive-gives-not", archive=self._archive.url, status=f"HTTP {code}")
            raise self._archive.failure(error) from None
        body: Any = response.raw  # what `http_session` kept it in
        with closing(body), tempfile.NamedTemporaryFile(dir=self._drafts, suffix=".part", prefix=".") as file:
            try:
                one_part.extract(body, response.headers.get("Content-Type", ""), file)
                file.flush()
                incoming = self._incoming(Path(file.name))
            except OSError:
                raise
            except Exception as error:  # bytes from outside
                why = type(error).__name__
                return Reason("archive-gives-no-part", archive=self._archive.url, error=why)
            return outcome(desk.take(image, incoming))

    def _ask(self, image: Image) -> requests.Response:
        way = f"studies/{image.study}/series/{image.series}/instances/{image.instance}"
        response = self._archive.session.get(
            f"{self._archive.url}/{way}", headers={"Accept": _ACCEPT}, stream=True
        )
        response.raise_for_status()
        return response

    def _incoming(self, path: Path) -> Incoming:
        meta, offset = dsutils.split_dataset(path)
        return Incoming(
            str(meta.MediaStorageSOPClassUID),
            str(meta.MediaStorageSOPInstanceUID),
            str(meta.TransferSyntaxUID),
            self._name,
            _pieces(path, offset),
        )


def _pieces(path: Path, offset: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(offset)
        yield from iter(partial(file.read, _CHUNK), b"")


def _uid(answer: Dataset) -> str:
    """What tells an answer from the others of its page."""
    levels = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
    return next((str(answer[level].value) for level in levels if level in answer), "")
