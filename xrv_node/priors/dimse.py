"""An archive that is asked with C-FIND and answers C-GET (PS3.4 annex C, study root)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.events import Event

from xrv_node.errors import DestinationError
from xrv_node.priors.answers import MAX_ANSWERS, MAX_BYTES, MAX_REPORT, report_series
from xrv_node.product import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from xrv_node.reasons import Reason
from xrv_node.result_kinds import KINDS
from xrv_node.settings.priors import DimsePriors

_REPORT = KINDS["report"]
_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
_FIND, _GET = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.3"
"""Study Root Query/Retrieve Information Model, FIND and GET (PS3.4 C.6.2.3)."""
_SUCCESS, _PENDING = 0x0000, (0xFF00, 0xFF01)
"""PS3.4 table C.4-1."""
_WARNING = 0xB000
"""Some of the objects could not be sent (PS3.4 table C.4-3); those that came are there."""
_CANNOT_UNDERSTAND = 0xC000


class DimseArchive:
    """One association with the archive, for all that is asked of it."""

    def __init__(self, section: DimsePriors, calling_ae: str) -> None:
        self._who = Reason("peer-at", peer=section.ae_title, host=section.host, port=section.port)
        self._bytes = 0
        self._came: list[Dataset] = []
        ae = AE(ae_title=calling_ae)
        ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = (
            section.timeout_seconds
        )
        ae.add_requested_context(_FIND, _SYNTAXES)
        ae.add_requested_context(_GET, _SYNTAXES)
        for uid in _REPORT.sop_classes:
            ae.add_requested_context(uid, _SYNTAXES)
        # C-GET brings the objects on this association, so we are the SCP of their class (PS3.4 C.5.3).
        self._association: Association = ae.associate(
            section.host,
            section.port,
            ae_title=section.ae_title,
            ext_neg=[build_role(uid, scp_role=True) for uid in _REPORT.sop_classes],
            evt_handlers=[(evt.EVT_C_STORE, self._stored), (evt.EVT_DATA_RECV, self._count)],
        )
        if not self._association.is_established:
            # which of the two is not always told: some peers hang up as they refuse
            raise DestinationError(Reason("archive-refuses", archive=self._who, calling=calling_ae))

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
        if self._association.is_established:
            self._association.release()

    def _find(self, level: str, **keys: str) -> Iterator[Dataset]:
        answers = []
        for status, identifier in self._send(self._association.send_c_find, _FIND, level, keys):
            if status in _PENDING and identifier is not None:
                answers.append(identifier)
            elif status not in (_SUCCESS, *_PENDING):
                raise self._answered("C-FIND", status)
            if len(answers) > MAX_ANSWERS:
                self._association.abort()
                raise DestinationError(Reason("archive-without-end", archive=self._who))
        return iter(answers)

    def _get(self, study: str, series: str) -> list[Dataset]:
        self._came = []
        keys = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
        for status, _ in self._send(self._association.send_c_get, _GET, "SERIES", keys):
            if status not in (_SUCCESS, _WARNING, *_PENDING):
                raise self._answered("C-GET", status)
        return self._came

    def _send(
        self, request: Any, model: str, level: str, keys: dict[str, str]
    ) -> Iterator[tuple[int, Dataset | None]]:
        """Send a C-FIND or C-GET; yields status and identifier of each answer."""
        query = Dataset()
        query.SpecificCharacterSet = "ISO_IR 192"
        query.QueryRetrieveLevel = level
        for keyword, value in keys.items():
            setattr(query, keyword, value)
        try:
            for answer, identifier in request(query, model):
                status = answer.get("Status")
                if status is None:
                    raise DestinationError(Reason("archive-ended-association", archive=self._who))
                yield int(status), identifier
        except (ValueError, RuntimeError) as error:  # no accepted context, or no association any more
            raise DestinationError(Reason("archive-without-query", archive=self._who)) from error

    def _answered(self, service: str, status: int) -> DestinationError:
        shown = f"0x{status:04X}"
        return DestinationError(Reason("archive-status", archive=self._who, service=service, status=shown))

    def _stored(self, event: Event) -> int:
        request: Any = event.request
        data = request.DataSet
        if data is None or data.getbuffer().nbytes > MAX_REPORT:
            return _CANNOT_UNDERSTAND  # before anything is made of it
        try:
            self._came.append(event.dataset)
        except Exception:  # bytes from outside: pydicom raises whatever they make it raise
            return _CANNOT_UNDERSTAND
        return _SUCCESS

    def _count(self, event: Event) -> None:
        """Hang up on an archive that sends more than reports can have."""
        self._bytes += len(event.data)
        wrapper: Any = event.assoc.dul.socket
        if self._bytes > MAX_BYTES and wrapper is not None:
            wrapper.close()
