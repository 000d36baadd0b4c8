"""What an archive is asked, whichever way it is; and which of its answers are wanted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from pydicom import Dataset

from xrv_node.attributes import text
from xrv_node.errors import DestinationError
from xrv_node.fetch.desk import Desk, Image
from xrv_node.fetch.keys import Key
from xrv_node.frontal.rules import load_rules
from xrv_node.reasons import Reason
from xrv_node.spool import is_uid

MAX_ANSWERS = 5000
"""Of one query: studies of a patient, series of a study, objects of a series. More than a CT has slices."""
NOBODY = "XRVNODE-CHECK"
"""A Patient ID to ask about that no patient has."""

Give = Callable[[Image], Reason | None]
"""Has the archive give one object to the desk; why it did not come, or is not taken."""


class Archive(Protocol):
    """What is asked of an archive; every call may raise DestinationError."""

    def studies(self, **matches: str) -> list[Dataset]:
        """The studies that match, by DICOM keyword, with their UID, Patient ID and Accession Number."""

    def series(self, study: str) -> list[Dataset]:
        """The series of a study, with their Modality."""

    def images(self, study: str, series: str) -> list[Dataset]:
        """The objects of a series, with their SOP classes."""

    def giving(self, classes: Collection[str], desk: Desk) -> AbstractContextManager[Give]:
        """Within this it gives objects of these SOP classes."""

    def check(self) -> None:
        """Ask what a fetch asks, about a patient that nobody is."""

    def close(self) -> None:
        """End the connection."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of a study."""

    images: tuple[Image, ...]
    series: int
    """How many series they are of."""
    modalities: tuple[str, ...]
    """Of these."""


def studies_of(archive: Archive, key: Key, name: str) -> list[str]:
    """Return the Study Instance UIDs that an archive has for something that is asked for.

    Raises
    ------
    DestinationError
        As the archive's; or it answers with what was not asked for: some have all studies for a key that they
        do not know.
    """
    found = archive.studies(**key.matches)
    for keyword in key.matches.keys() - {"StudyDate"}:
        for answer in found:
            if text(answer, keyword) not in ("", key.matches[keyword]):
                raise DestinationError(Reason("archive-answers-another", archive=name, attribute=keyword))
    return [uid for uid in dict.fromkeys(text(a, "StudyInstanceUID") for a in found) if is_uid(uid)]


def look(archive: Archive, study: str, name: str, *, all_series: bool) -> Wanted | None:
    """Ask an archive what it has of a study that is wanted; None where it has no such study.

    Raises
    ------
    DestinationError
        As :func:`studies_of`.
    """
    answers = archive.studies(StudyInstanceUID=study)
    if not answers:
        return None
    (answer, *_) = answers
    if text(answer, "StudyInstanceUID") != study:
        raise DestinationError(Reason("archive-answers-another", archive=name, attribute="StudyInstanceUID"))
    patient_id = text(answer, "PatientID")
    images: list[Image] = []
    modalities: dict[str, None] = {}
    for series, modality in _series(archive.series(study), all_series=all_series):
        of_it = _images(archive.images(study, series), all_series=all_series)
        images += [Image(study, series, uid, sop_class, patient_id) for uid, sop_class in of_it]
        modalities[modality] = None
    return Wanted(tuple(images), len({image.series for image in images}), tuple(modalities))


def _series(answers: Iterable[Dataset], *, all_series: bool) -> Iterator[tuple[str, str]]:
    """Those of modalities that are analysed, and those that tell none."""
    wanted = load_rules().modalities | {""}
    for answer in answers:
        uid, modality = text(answer, "SeriesInstanceUID"), text(answer, "Modality")
        if is_uid(uid) and (all_series or modality in wanted):
            yield uid, modality


def _images(answers: Iterable[Dataset], *, all_series: bool) -> Iterator[tuple[str, str]]:
    """Those of SOP classes that are analysed, and those that tell none; each once."""
    wanted = load_rules().sop_classes | {""}
    seen: set[str] = set()
    for answer in answers:
        uid, sop_class = text(answer, "SOPInstanceUID"), text(answer, "SOPClassUID")
        if is_uid(uid) and uid not in seen and (all_series or sop_class in wanted):
            seen.add(uid)
            yield uid, sop_class
