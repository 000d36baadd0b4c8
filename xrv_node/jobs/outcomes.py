"""A closed study as its reports see it: whose its images are, and which of them are reported."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pydicom import Dataset
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from xrv_node import intact, verbatim
from xrv_node.analyse.analysis_file import load
from xrv_node.attributes import fold, integer, text
from xrv_node.db.store import Store
from xrv_node.db.tables import AnalysisRow, Delivery, Instance, InstanceState, ResultRow, Study
from xrv_node.errors import XrvNodeError
from xrv_node.frontal.repeats import Repeat, repeats
from xrv_node.phantom.recognition import NOT_A_PHANTOM
from xrv_node.radiograph.header import read_header
from xrv_node.reasons import Reason
from xrv_node.report import source
from xrv_node.spool import Spool
from xrv_node.values import (
    SHARED_UID,
    WITHHELD_FOR_UID,
    Evidence,
    FrontalDecision,
    ImageOutcome,
    ModelSet,
    Verdict,
)


@dataclass(frozen=True, slots=True, eq=False)
class ClosedStudy:
    """What is on record of a closed study."""

    uid: str
    """Study Instance UID."""
    revision: int
    closed_at: datetime
    images: tuple[ImageOutcome, ...]
    patients: Sequence[tuple[ImageOutcome, ...]]
    """The same images, parted by whose they are."""
    purged: int
    """How many of its objects retention has removed."""
    results: Sequence[ResultRow]
    """All that it has had, the oldest first."""
    callers: set[str]
    """AE titles that its images came from."""
    informed: set[str]
    """Names of the destinations that had results of it."""


def read(store: Store, spool: Spool, study_id: int, model_set: ModelSet) -> ClosedStudy:
    """Read what is on record of a closed study.

    Raises
    ------
    XrvNodeError
        As `images_of`.
    """
    with store.read() as db:
        study = db.get_one(Study, study_id)
        results = select(ResultRow).where(ResultRow.study_id == study.id).order_by(ResultRow.id)
        callers = select(Instance.calling_ae).where(Instance.study_id == study.id)
        sent = select(Delivery.destination).join(ResultRow, ResultRow.id == Delivery.result_id)
        informed = sent.where(ResultRow.study_id == study.id)
        images = images_of(db, spool, study, model_set)
        return ClosedStudy(
            study.study_instance_uid,
            study.revision,
            # In the site's own time zone, as the dates of the images are.
            (study.closed_at or datetime.now(UTC)).astimezone(),
            images,
            by_patient(images),
            purged(db, study),
            db.scalars(results).all(),
            set(db.scalars(callers)),
            set(db.scalars(informed)),
        )


def images_of(db: Session, spool: Spool, study: Study, model_set: ModelSet) -> tuple[ImageOutcome, ...]:
    """Read what is still there of a study, each image with its analysis by this model set, else with the
    newest.

    Returns
    -------
    tuple of ImageOutcome
        In the order (series number, series, instance number, SOP Instance UID, arrival).

    Raises
    ------
    XrvNodeError
        When a received object or an analysis cannot be read, or nothing is left of the study.
    """
    of_study = select(Instance).where(Instance.study_id == study.id).order_by(Instance.id)
    rows = db.scalars(of_study.where(Instance.purged_at.is_(None))).all()
    if not rows:
        raise XrvNodeError(Reason("images-purged"))
    images = [_image(db, spool, row, model_set) for row in rows]
    return tuple(sorted(images, key=lambda i: _order(i.header)))


def outdated(db: Session, study: Study, model_set: ModelSet) -> list[Instance]:
    """Return the images of a study that only other models have analysed, before it was closed: the models, or
    the operating points, were changed and then a late image came. A report is by one model set.

    What was analysed since by others is not among them: two workers of different models would go on for ever.
    """
    by_it = select(AnalysisRow.id).where(
        AnalysisRow.instance_id == Instance.id,
        AnalysisRow.purged_at.is_(None),
        or_(AnalysisRow.model_set == model_set.digest, AnalysisRow.created_at > study.closed_at),
    )
    images = select(Instance).where(
        Instance.study_id == study.id,
        Instance.state == InstanceState.ANALYSED,
        Instance.purged_at.is_(None),
        ~by_it.exists(),
        (Instance.verdict == Verdict.PHANTOM) == model_set.phantom,
    )
    return list(db.scalars(images.order_by(Instance.id)))


def of_phantoms(db: Session, study_id: int) -> bool:
    """Whether a study has images of phantoms, and none of a patient that is to be reported."""
    due = select(Instance.verdict).where(
        Instance.study_id == study_id, Instance.state != InstanceState.SKIPPED, Instance.purged_at.is_(None)
    )
    return set(db.scalars(due)) == {Verdict.PHANTOM}


def by_patient(images: Sequence[ImageOutcome]) -> list[tuple[ImageOutcome, ...]]:
    """Part a study's images by whose they are: a registration that was mixed up, or merged, or corrected in
    the archive, leaves images of one Study Instance UID that name different patients.

    Parameters
    ----------
    images : sequence of ImageOutcome
        In the order of the report.

    Returns
    -------
    list of tuple of ImageOutcome
        One for each patient, none for no images; an image that names nobody is with the first.
    """
    patients: list[list[ImageOutcome]] = []
    for image in images:
        for group in patients:
            if all(same_patient(image.header, other.header) for other in group):
                group.append(image)
                break
        else:
            patients.append([image])
    return [tuple(group) for group in patients]


def same_patient(one: Dataset, other: Dataset) -> bool:
    """Whether two objects may be of one patient: both state no two identifiers, issuers, birth dates or, but
    for letter case, accents and punctuation, names."""
    pairs = zip(_identity(one), _identity(other), strict=True)
    return all(a == b for a, b in pairs if a and b)


def once_each(images: Sequence[ImageOutcome]) -> tuple[tuple[ImageOutcome, ...], tuple[Repeat, ...]]:
    """Report each exposure once: take the analyses of all its images but one out of the report.

    Parameters
    ----------
    images : sequence of ImageOutcome
        Of one patient, in the order of the report.

    Returns
    -------
    tuple of ImageOutcome
        All of them; those that are not reported have no analysis, and their decision says why.
    tuple of Repeat
        Which they are, by their numbers from 1.
    """
    headers = {n: i.header for n, i in enumerate(images, 1) if i.analysis is not None and i.error is None}
    found = repeats(headers)
    kept = list(images)
    for repeat in found:
        image = kept[repeat.number - 1]
        decision = replace(
            image.decision,
            reasons=(repeat.reason, *image.decision.reasons),
            evidence=(repeat.evidence, *image.decision.evidence),
        )
        kept[repeat.number - 1] = replace(image, decision=decision, analysis=None)
    return tuple(kept), found


def purged(db: Session, study: Study) -> int:
    """Return how many objects of a study retention has removed."""
    gone = select(func.count()).where(Instance.study_id == study.id, Instance.purged_at.is_not(None))
    return db.scalar(gone) or 0


def remarks(images: Sequence[ImageOutcome], patients: int, gone: int = 0) -> tuple[Reason, ...]:
    """Say what a reader must know of a study as a whole, without patient data.

    Parameters
    ----------
    images : sequence of ImageOutcome
        All of the study.
    patients : int
        How many its headers name.
    gone : int
        How many objects of the study are no longer here.
    """
    shared = [image for image in images if _reasons(image) & {SHARED_UID, WITHHELD_FOR_UID}]
    again = sum(image.decision.verdict == Verdict.NOT_SUITABLE for image in shared)
    said = []
    if patients > 1:
        said.append(Reason("several-patients", number=patients))
    if again:
        said.append(Reason("came-again-otherwise", number=again))
    if reported := len(shared) - again:
        said.append(Reason("uid-shared", number=reported))
    if gone:
        said.append(Reason("removed-since", number=gone))
    if names := dict.fromkeys(name for image in images for name in source.left_out(image.header)):
        said.append(Reason("left-out-too-large", attributes=", ".join(names)))
    return tuple(said)


def withheld(image: ImageOutcome) -> bool:
    """Whether an image would have been analysed, had no other come before it under its SOP Instance UID."""
    return WITHHELD_FOR_UID in _reasons(image)


def _reasons(image: ImageOutcome) -> set[str]:
    return {reason.key for reason in image.decision.reasons}


def _identity(header: Dataset) -> tuple[str, ...]:
    """Identifier, issuer, name and birth date; empty what is not stated."""
    name = fold(text(header, "PatientName").partition("=")[0])
    birth_date = text(header, "PatientBirthDate").replace(".", "")
    return (text(header, "PatientID"), text(header, "IssuerOfPatientID"), name, birth_date)


def _image(db: Session, spool: Spool, row: Instance, model_set: ModelSet) -> ImageOutcome:
    evidence = tuple(Evidence(**e) for e in row.evidence)
    decision = FrontalDecision(Verdict(row.verdict), row.view, row.reasons, evidence)
    header = read_header(spool.absolute(row.path))
    verbatim.remember(header)  # the results have the patient's and the study's text as it came
    if row.state != InstanceState.ANALYSED:
        return ImageOutcome(header, decision, error=row.error if row.state == InstanceState.FAILED else None)
    if (row.verdict == Verdict.PHANTOM) != model_set.phantom:  # what others have answered
        told = (NOT_A_PHANTOM, *decision.reasons) if model_set.phantom else decision.reasons
        return ImageOutcome(header, replace(decision, reasons=told))
    analysis = db.scalars(
        select(AnalysisRow)
        .where(AnalysisRow.instance_id == row.id, AnalysisRow.purged_at.is_(None))
        .order_by(AnalysisRow.model_set != model_set.digest, AnalysisRow.id.desc())
    ).first()
    if analysis is None:
        return ImageOutcome(header, decision, error=Reason("analysis-missing"))
    with suppress(OSError):  # whoever reads it says so
        if not intact.is_input(spool.absolute(row.path), row.sha256, row.transfer_syntax_uid):
            raise XrvNodeError(
                Reason("input-changed", file=row.path)
            )  # its results would be another patient's
    kept = load(spool.absolute(analysis.path))
    return ImageOutcome(header, decision, kept, error=kept.refused)


def _order(header: Dataset) -> tuple[int, str, int, str]:
    return (
        integer(header, "SeriesNumber"),
        text(header, "SeriesInstanceUID"),
        integer(header, "InstanceNumber"),
        text(header, "SOPInstanceUID"),
    )
