"""The result objects of a closed study, made for each of its patients and kept in the spool."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

from xrv_node import disk, durable, intact, report
from xrv_node.attributes import text
from xrv_node.db.tables import ResultRow
from xrv_node.frontal.repeats import Repeat
from xrv_node.jobs import outcomes, supersede
from xrv_node.jobs.outcomes import ClosedStudy
from xrv_node.priors import search
from xrv_node.result_kinds import KINDS
from xrv_node.spool import Spool
from xrv_node.values import ImageOutcome, ModelSet, StudyOutcome, Style


@dataclass(frozen=True, slots=True, eq=False)
class PatientReport:
    """What is reported of one of the patients whom the images of a study name."""

    outcome: StudyOutcome
    superseded: Sequence[ResultRow]
    """The results of before that the new ones stand in place of."""
    set_aside: Sequence[dict[str, Any]]
    """The images that are not reported because another of their exposure is."""


@dataclass(frozen=True, slots=True)
class Results:
    """What was made of a study and is in the spool."""

    new: Sequence[ResultRow]
    unchanged: Sequence[ResultRow]
    """Those of before that say what would have been made."""
    kept_again: Sequence[ResultRow]
    """Of these, the ones whose file was purged, or was not as it had been made."""


def by_patient(
    spool: Spool,
    model_set: ModelSet,
    closed: ClosedStudy,
    priors: search.Found,
    rates: Mapping[str, tuple[float, float]],
) -> list[PatientReport]:
    """Tell what is to be reported: each patient whom the images name has results of their own; `rates` are
    what the site has measured at its operating points."""
    alone = len(closed.patients) == 1
    remarks = outcomes.remarks(closed.images, len(closed.patients), closed.purged)
    current = supersede.current(closed.results)
    if closed.purged:  # the earlier report speaks of images that this one knows nothing of
        current = []
    patients = []
    for images in closed.patients:
        reported, repeats = outcomes.once_each(images)
        outcome = StudyOutcome(
            closed.uid,
            reported,
            model_set,
            closed.closed_at,
            priors=tuple(earlier.prior for earlier in priors.earlier),
            remarks=remarks,
            searched=priors.told,
            rates=rates,
        )
        superseded = current if alone else supersede.of_patient(current, images[0].header, spool)
        patients.append(
            PatientReport(outcome, superseded, [_set_aside(reported, repeat) for repeat in repeats])
        )
    return patients


def make(
    spool: Spool,
    closed: ClosedStudy,
    patients: Sequence[PatientReport],
    styles: Mapping[tuple[str, str], Style],
) -> Results:
    """Make each patient's objects of each kind and variant that is wanted, and keep those that are new.

    The same content has the same UID, and was sent already: a PACS never shows a finding twice.
    """
    known = {row.sop_instance_uid: row for row in closed.results}
    current = {row.sop_instance_uid for row in supersede.current(closed.results)}
    new: list[ResultRow] = []
    unchanged: list[ResultRow] = []
    kept_again: list[ResultRow] = []
    for patient, ((kind, form), style) in product(patients, styles.items()):
        before = supersede.predecessors([r for r in patient.superseded if r.variant == form], closed.uid)
        for result in report.build(replace(patient.outcome, predecessors=before), [kind], style):
            row = known.get(supersede.settle(result.dataset, known, current))
            if row is None:
                new.append(_keep(spool, closed.uid, result, form))
                continue
            unchanged.append(row)
            if row.purged_at is not None or not _is_whole(spool, row):
                again = _keep(spool, closed.uid, result, form)
                row.sha256, row.size = again.sha256, again.size
                kept_again.append(row)
    return Results(new, unchanged, kept_again)


def _is_whole(spool: Spool, row: ResultRow) -> bool:
    try:
        return intact.is_result(spool.absolute(row.path), row.sha256)
    except OSError:
        return False


def _set_aside(images: Sequence[ImageOutcome], repeat: Repeat) -> dict[str, Any]:
    return {
        "instance": text(images[repeat.number - 1].header, "SOPInstanceUID"),
        "reported": text(images[repeat.chosen - 1].header, "SOPInstanceUID"),
        "why": repeat.reason,
        "evidence": asdict(repeat.evidence),
    }


def _keep(spool: Spool, study_uid: str, result: report.Result, variant: str) -> ResultRow:
    """Write one object to the spool; its row is added with the others, in one transaction."""
    data = report.to_bytes(result.dataset, deflated=KINDS[result.kind].deflates)
    uid = str(result.dataset.SOPInstanceUID)
    path = spool.result(study_uid, uid)
    disk.leave_room(spool.root, len(data))
    durable.write(path, [data])
    return ResultRow(
        kind=result.kind,
        variant=variant,
        sop_class_uid=str(result.dataset.SOPClassUID),
        sop_instance_uid=uid,
        series_instance_uid=str(result.dataset.SeriesInstanceUID),
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        path=spool.relative(path),
        created_at=datetime.now(UTC),
    )
