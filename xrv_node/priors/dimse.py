"""An archive that is asked for priors with C-FIND and answers C-GET."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset

from xrv_node.deliver.query import QueryRetrieve
from xrv_node.network.terms import Peer
from xrv_node.priors.answers import MAX_ANSWERS, MAX_BYTES, MAX_REPORT, NOBODY, report_series
from xrv_node.result_kinds import KINDS
from xrv_node.settings.priors import DimsePriors


class DimseArchive:
    """One association with the archive, for all that is asked of it."""

    def __init__(self, section: DimsePriors, calling_ae: str) -> None:
        self._archive = QueryRetrieve(
            Peer(section.ae_title, section.host, section.port),
            calling_ae,
            KINDS["report"].sop_classes,
            seconds=section.timeout_seconds,
            most_seconds=section.timeout_seconds,
            most_answers=MAX_ANSWERS,
            most_bytes=MAX_BYTES,
            most_of_one=MAX_REPORT,
        )

    def studies(self, patient_id: str, until: str) -> Iterator[Dataset]:
        """C-FIND for the patient's studies up to a Study Date."""
        return iter(
            self._archive.find(
                "STUDY",
                PatientID=patient_id,
                StudyDate=f"-{until}",
                StudyTime="",
                StudyInstanceUID="",
                ModalitiesInStudy="",
            )
        )

    def reports(self, study_instance_uid: str) -> Iterator[Dataset]:
        """C-FIND for the study's series, and C-GET of each that has the number of this project's reports."""
        series = self._archive.find(
            "SERIES",
            StudyInstanceUID=study_instance_uid,
            Modality="SR",
            SeriesInstanceUID="",
            SeriesNumber="",
        )
        for uid in report_series(series):
            yield from self._archive.get("SERIES", StudyInstanceUID=study_instance_uid, SeriesInstanceUID=uid)

    def check(self) -> None:
        """C-FIND for a patient that nobody is; and whether the archive would send reports by C-GET."""
        self._archive.require()
        self._archive.find("STUDY", PatientID=NOBODY, StudyInstanceUID="")

    def close(self) -> None:
        """Release the association."""
        self._archive.close()
