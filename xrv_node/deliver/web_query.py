"""An archive that is asked with QIDO-RS (PS3.18 10.6)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

import requests
from dicomweb_client.web import DICOMwebClient

from xrv_node import http_session
from xrv_node.errors import DestinationError
from xrv_node.reasons import Reason

T = TypeVar("T")


class NotUnderstoodError(DestinationError):
    """The archive answers something else than it was asked for."""


class WebQuery:
    """A DICOMweb service.

    Parameters
    ----------
    url
        Of the service.
    session
        It raises what :func:`xrv_node.http_session.session` says.
    seconds
        For an answer.
    callback
        Sees every answer, and may refuse it with a ValueError.
    """

    def __init__(
        self,
        url: str,
        session: requests.Session,
        seconds: float,
        callback: Callable[..., requests.Response] | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.client = DICOMwebClient(self.url, session, callback=callback, timeout=seconds)
        self.client.set_http_retry_params(retry=False)
        self.session = session

    def answer(self, request: Callable[[], list[T]], *, absent: bool = True) -> list[T]:
        """Make a request; its errors are told without their texts, which quote the Patient ID in the URL.

        Parameters
        ----------
        absent
            Whether what is asked about may not be there (404), which is an empty answer then. A search that
            finds nothing has another status (PS3.18 10.6.3), a wrong URL has this one.

        Raises
        ------
        NotUnderstoodError
            What comes is no answer.
        DestinationError
            Nothing comes.
        """
        try:
            return request()
        except requests.RequestException as error:
            if absent and status(error) == HTTPStatus.NOT_FOUND:
                return []
            raise self.failure(error) from None
        except Exception as error:  # from outside: no JSON, no DICOM, no parts
            raise NotUnderstoodError(self._not_asked(error)) from None

    def failure(self, error: Exception) -> DestinationError:
        """Why there is no answer, without the error's text."""
        if code := status(error):
            return DestinationError(Reason("archive-http", archive=self.url, status=code))
        if isinstance(error, http_session.AnswerError):
            return DestinationError(Reason("archive-says-too-much", archive=self.url))
        return DestinationError(self._not_asked(error))

    def _not_asked(self, error: Exception) -> Reason:
        return Reason("archive-not-asked", archive=self.url, error=type(error).__name__)


def status(error: Exception) -> int:
    """The status of an answer that is an error; 0 where there was none."""
    response: Any = error.response if isinstance(error, requests.HTTPError) else None
    return 0 if response is None else int(response.status_code)
