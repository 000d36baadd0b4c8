"""Earlier studies from an archive: this node's own reports, asked for, checked and read.

Nothing that comes back is trusted: it is of this patient, of an earlier study, made by this project with the
same classifier in the same way, or it is not used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog
from pydicom import Dataset

from xrv_node.attributes import text
from xrv_node.errors import DestinationError
from xrv_node.priors.subject import Basis, Earlier, Subject, highest, newest, precedes, subject_of
from xrv_node.reasons import Reason
from xrv_node.report import codes, equipment, read_back
from xrv_node.report.wording import plain
from xrv_node.result_kinds import kind_of
from xrv_node.settings.priors import DimsePriors, WebPriors
from xrv_node.spool import is_uid
from xrv_node.values import PHANTOM_WORDS, Prior

log = structlog.get_logger("priors")

T = TypeVar("T")

_NO_PATIENT_S = (PHANTOM_WORDS, "COMMISSIONING - NOT A RESULT")
"""In Series Descriptions: of the networks for phantoms, and of the untrained ones that there were before."""

_WILDCARDS = frozenset("*?")
"""PS3.4 C.2.2.2.4. A Patient ID that holds one would ask for other patients too."""


class Archive(Protocol):
    """What is asked of an archive; every call may raise DestinationError."""

    def studies(self, patient_id: str, until: str) -> Iterable[Dataset]:
        """The patient's studies up to a Study Date, any number of them, with what is known of each."""

    def reports(self, study_instance_uid: str) -> Iterable[Dataset]:
        """The objects of a study that may be reports of this project."""

    def check(self) -> None:
        """Ask what a report asks, about a patient that nobody is."""

    def close(self) -> None:
        """End the connection."""


@dataclass(frozen=True, slots=True)
class EarlierReport:
    """A report that was read and can be used."""

    earlier: Earlier
    uid: str
    made: str
    """Content Date and Time."""
    supersedes: frozenset[str]
    """SOP Instance UIDs."""


def find(
    section: DimsePriors | WebPriors, calling_ae: str, subject: Subject, basis: Basis, known: Collection[str]
) -> list[Earlier]:
    """Ask the configured archive for earlier studies of the patient with scores that compare.

    Parameters
    ----------
    section
        Which archive, how many studies, and how long it may take.
    calling_ae
        The node's own AE title.
    subject, basis
        Whose the present study is and when it was made, and how it was analysed.
    known
        Study Instance UIDs that are not asked for.

    Returns
    -------
    list of Earlier
        At most ``section.max_studies``, the newest first.

    Raises
    ------
    DestinationError
        When the archive cannot be reached, refuses, or is not done within ``section.timeout_seconds``.
    """
    if _WILDCARDS & set(subject.patient.identifier):
        return []
    connect = _way(section, calling_ae)
    return _within(
        section.timeout_seconds, lambda: _ask(connect(), subject, basis, known, section.max_studies)
    )


def check(section: DimsePriors | WebPriors, calling_ae: str) -> None:
    """Ask the configured archive what a report would, about a patient that nobody is.

    Raises
    ------
    DestinationError
        When it cannot be reached, refuses, lacks what is needed, or is not done within
        ``section.timeout_seconds``.
    """
    connect = _way(section, calling_ae)

    def asked() -> None:
        archive = connect()
        try:
            archive.check()
        finally:
            archive.close()

    _within(section.timeout_seconds, asked)


def read(document: Dataset, subject: Subject, basis: Basis) -> EarlierReport | None:
    """Read the scores from an object of an archive.

    Parameters
    ----------
    document
        Anything.
    subject, basis
        The present study's.

    Returns
    -------
    EarlierReport or None
        None where it is not a report of this project about an earlier study of the same patient, made by the
        same classifier in the same way; or where it is damaged.
    """
    try:
        return _read(document, subject, basis)
    except Exception as error:  # bytes from outside: pydicom raises whatever its values make it raise
        log.warning("an object of the archive cannot be read", why=type(error).__name__)
        return None


def _way(section: DimsePriors | WebPriors, calling_ae: str) -> Callable[[], Archive]:
    """Load what the kind of archive needs, which is not to count as the archive's time."""
    if isinstance(section, DimsePriors):
        from xrv_node.priors.dimse import DimseArchive

        return lambda: DimseArchive(section, calling_ae)
    from xrv_node.priors.web import WebArchive

    return lambda: WebArchive(section)


def _ask(
    archive: Archive, subject: Subject, basis: Basis, known: Collection[str], limit: int
) -> list[Earlier]:
    found: list[Earlier] = []
    try:
        studies = {
            text(s, "StudyInstanceUID"): s
            for s in archive.studies(subject.patient.identifier, subject.date)
            if _may_have_a_prior(s, subject)
        }
        latest_first = sorted(
            studies, key=lambda uid: (text(studies[uid], "StudyDate"), text(studies[uid], "StudyTime"), uid)
        )[::-1]
        for uid in latest_first:
            if len(found) == limit:
                break
            if is_uid(uid) and uid not in known:
                found += _of_study(archive.reports(uid), uid, subject, basis)
    finally:
        archive.close()
    return newest(found)


def _may_have_a_prior(study: Dataset, subject: Subject) -> bool:
    """Whether nothing in the archive's answer speaks against a study; much of it is optional (PS3.4 table
    C.6-5)."""
    modalities = text(study, "ModalitiesInStudy")
    identifier = text(study, "PatientID")
    return (
        (not modalities or "SR" in modalities.split("\\"))
        and identifier in ("", subject.patient.identifier)
        and text(study, "StudyDate") <= subject.date
    )


def _of_study(documents: Iterable[Dataset], uid: str, subject: Subject, basis: Basis) -> list[Earlier]:
    """The study's newest report that can be used and that no other supersedes, if there is one."""
    reports = [r for d in documents if (r := read(d, subject, basis)) is not None]
    reports = [r for r in reports if r.earlier.prior.study_instance_uid == uid]
    superseded = {old for r in reports for old in r.supersedes}
    reports = [r for r in reports if r.uid not in superseded]
    return [max(reports, key=lambda r: (r.made, r.uid)).earlier] if reports else []


def _read(document: Dataset, subject: Subject, basis: Basis) -> EarlierReport | None:
    whose = subject_of([document])
    ours = (
        kind_of(document) == "report"
        and text(document, "Manufacturer") == equipment.MANUFACTURER
        and text(document, "ManufacturerModelName") == equipment.NAME
        and not any(words in text(document, "SeriesDescription") for words in _NO_PATIENT_S)
    )
    if not ours or whose is None or whose.patient != subject.patient:
        return None
    if not precedes(whose.date, whose.time, subject):
        return None
    own = [equipment.points_line(basis.site_thresholds)] if basis.site_thresholds else []
    comparable = (
        any(basis.classifier in model.split() for model in read_back.texts(document, codes.MODEL))
        and read_back.texts(document, codes.RESAMPLING) == [plain(basis.resampler)]
        and read_back.texts(document, codes.SITE_POINTS) == own
    )
    if not comparable:
        return None
    found = [(f.label, f.score) for image in read_back.findings(document).values() for f in image]
    if not found or not all(0 <= score <= 1 for _, score in found):
        return None
    prior = Prior(text(document, "StudyInstanceUID"), whose.date, highest(found))
    return EarlierReport(
        Earlier(prior, whose.time, "archive"),
        text(document, "SOPInstanceUID"),
        text(document, "ContentDate") + text(document, "ContentTime"),
        read_back.predecessors(document),
    )


def _within(seconds: float, work: Callable[[], T]) -> T:
    """Do something in a thread and wait so long for it; a peer that sends a byte now and then ends no timeout
    of a socket. The thread ends by the limits of what it reads, or with the process."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except DestinationError as error:
            future.set_exception(error)
        except Exception as error:  # a report is never lost for its priors
            log.exception("the archive of priors could not be asked")
            reason = Reason("archive-error", error=type(error).__name__)
            future.set_exception(DestinationError(reason))

    threading.Thread(target=run, name="priors", daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        raise DestinationError(Reason("archive-slow", seconds=f"{seconds:g}")) from None
