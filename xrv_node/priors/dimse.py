"""An archive that is asked with C-FIND and answers C-GET (PS3.4 annex C, study root)."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from xrv_node import reasons
from xrv_node.deliver.association import NotNowError, open_peer
from xrv_node.errors import DestinationError
from xrv_node.network import command, datasets
from xrv_node.network.outgoing import PENDING
from xrv_node.network.terms import Accepted, Peer, Terms
from xrv_node.network.wire import BrokenOffError
from xrv_node.priors.answers import MAX_ANSWERS, MAX_BYTES, MAX_REPORT, report_series
from xrv_node.reasons import Reason
from xrv_node.result_kinds import KINDS
from xrv_node.settings.priors import DimsePriors

_REPORT = KINDS["report"]
_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
_FIND, _GET = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.3"
"""Study Root Query/Retrieve Information Model, FIND and GET (PS3.4 C.6.2.3)."""
_SUCCESS = 0x0000
_WARNING = 0xB000
"""Some of the objects could not be sent (PS3.4 table C.4-3); those that came are there."""
_CANNOT_UNDERSTAND = 0xC000


class DimseArchive:
    """One association with the archive, for all that is asked of it."""

    def __init__(self, section: DimsePriors, calling_ae: str) -> None:
        self._who = Reason("peer-at", peer=section.ae_title, host=section.host, port=section.port)
        self._came: list[Dataset] = []
        reports = _REPORT.sop_classes
        seconds = section.timeout_seconds
        terms = Terms(seconds, seconds, MAX_BYTES, {command.C_STORE: self._stored}, reports)
        try:
            # C-GET brings the objects on this association, so we are the SCP of their class (PS3.4 C.5.3).
            self._association = open_peer(
                Peer(section.ae_title, section.host, section.port),
                calling_ae,
                [(uid, _SYNTAXES) for uid in (_FIND, _GET, *reports)],
                terms,
            )
        except NotNowError as error:
            why = reasons.of(error).values.get("why", reasons.of(error))
            raise DestinationError(Reason("archive-no-association", archive=self._who, why=why)) from error
        except DestinationError as error:
            raise DestinationError(
                Reason("archive-no-association", archive=self._who, why=reasons.of(error))
            ) from error

    def studies(self, patient_id: str, until: str) -> Iterator[Dataset]:
        """C-FIND for the patient's studies up to a Study Date."""
        return self._find(
            "STUDY",
            PatientID=patient_id,
            StudyDate=f"-{until}",
            StudyTime="",
            StudyInstanceUID="",
            ModalitiesInStudy="",
        )

    def reports(self, study_instance_uid: str) -> Iterator[Dataset]:
        """C-FIND for the study's series, and C-GET of each that has the number of this project's reports."""
        series = self._find(
            "SERIES",
            StudyInstanceUID=study_instance_uid,
            Modality="SR",
            SeriesInstanceUID="",
            SeriesNumber="",
        )
        for uid in report_series(series):
            yield from self._get(study_instance_uid, uid)

    def close(self) -> None:
        """Release the association."""
        self._association.release()

    def _find(self, level: str, **keys: str) -> Iterator[Dataset]:
        answers = []
        for status, identifier in self._send(command.C_FIND, _FIND, level, keys):
            if status in PENDING and identifier is not None:
                answers.append(identifier)
            elif status not in (_SUCCESS, *PENDING):
                raise self._answered("C-FIND", status)
            if len(answers) > MAX_ANSWERS:
                self._association.abort()
                raise DestinationError(Reason("archive-without-end", archive=self._who))
        return iter(answers)

    def _get(self, study: str, series: str) -> list[Dataset]:
        self._came = []
        keys = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
        for status, _ in self._send(command.C_GET, _GET, "SERIES", keys):
            if status not in (_SUCCESS, _WARNING, *PENDING):
                raise self._answered("C-GET", status)
        return self._came

    def _send(
        self, field: int, model: str, level: str, keys: dict[str, str]
    ) -> Iterator[tuple[int, Dataset | None]]:
        """Send a C-FIND or C-GET; yields status and identifier of each answer."""
        query = Dataset()
        query.SpecificCharacterSet = "ISO_IR 192"
        query.QueryRetrieveLevel = level
        for keyword, value in keys.items():
            setattr(query, keyword, value)
        if not (contexts := self._association.contexts(model)):
            raise DestinationError(Reason("archive-without-query", archive=self._who))
        context = contexts[0]
        elements: dict[int, str | int] = {0x0002: model, 0x0700: command.MEDIUM}
        try:
            encoded = datasets.encode(query, context.transfer_syntax)
            for status, data in self._association.ask_many(context, field, elements, (encoded,)):
                if status is None:
                    raise DestinationError(Reason("archive-ended-association", archive=self._who))
                yield status, None if data is None else datasets.decode(data, context.transfer_syntax)
        except (BrokenOffError, ValueError) as error:
            why = reasons.of(error)
            raise DestinationError(Reason("archive-broke-off", archive=self._who, why=why)) from error

    def _answered(self, service: str, status: int) -> DestinationError:
        shown = f"0x{status:04X}"
        return DestinationError(Reason("archive-status", archive=self._who, service=service, status=shown))

    def _stored(self, context: Accepted, _command: Dataset, fragments: Iterator[memoryview]) -> int:
        encoded = b"".join(map(bytes, fragments))
        if len(encoded) > MAX_REPORT:
            return _CANNOT_UNDERSTAND  # before anything is made of it
        try:
            self._came.append(datasets.decode(encoded, context.transfer_syntax))
        except ValueError:
            return _CANNOT_UNDERSTAND
        return _SUCCESS
