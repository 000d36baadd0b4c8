"""The search for earlier studies of the patient: in the spool, then in the archive.

A wrong prior is worse than none: wherever something is missing or contradictory, there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from xrv_node import reasons
from xrv_node.db.store import Store
from xrv_node.errors import DestinationError
from xrv_node.priors import archive, local
from xrv_node.priors.subject import Earlier, basis_of, newest, subject_of
from xrv_node.reasons import Reason
from xrv_node.settings import Settings
from xrv_node.settings.priors import LocalPriors
from xrv_node.spool import Spool
from xrv_node.values import ImageOutcome

log = structlog.get_logger("priors")

OFF = Reason("priors-off")
NOT_COMPARABLE = Reason("priors-not-comparable")
NONE_HERE = Reason("priors-none-here")
NONE = Reason("priors-none")
ARCHIVE_SILENT = Reason("priors-archive-silent")
"""Why a report has no earlier study to compare with, or not all, as a reader is told."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the search for earlier studies gave."""

    earlier: tuple[Earlier, ...] = ()
    """The newest first."""
    unavailable: Reason | None = None
    """Why the archive gave no answer; without patient data."""
    told: Reason | None = None
    """What a reader must know of the search: that nothing was found, or that it was not looked for
    everywhere. None where earlier studies were found, and all were asked for."""


def find(
    settings: Settings, store: Store, spool: Spool, study_instance_uid: str, images: Sequence[ImageOutcome]
) -> Found:
    """Look for earlier studies with scores that compare: in the spool, then in the configured archive.

    Parameters
    ----------
    study_instance_uid
        The present study.
    images
        All of its objects. Those with reported findings must name one and the same patient and Study Date,
        and be analysed in one and the same way; otherwise there are no priors.

    Returns
    -------
    Found
        At most ``priors.max_studies`` studies. An archive that is down makes no exception: what the spool has
        is there.
    """
    section = settings.priors
    answered = [(i.header, i.analysis) for i in images if i.analysis is not None and i.error is None]
    subject = subject_of([header for header, _ in answered])
    basis = basis_of([analysis for _, analysis in answered])
    if not answered:
        return Found()
    if not section.max_studies:
        return Found(told=OFF)
    if subject is None or basis is None:
        return Found(told=NOT_COMPARABLE)
    found = local.find(store, spool, study_instance_uid, subject, basis, section.max_studies)
    if isinstance(section, LocalPriors):
        return Found(tuple(found), told=None if found else NONE_HERE)
    known = {study_instance_uid, *(e.prior.study_instance_uid for e in found)}
    try:
        found += archive.find(section, settings.receive.ae_title, subject, basis, known)
    except DestinationError as error:
        log.warning("the archive was not asked for priors", study=study_instance_uid, why=str(error))
        return Found(tuple(found), reasons.of(error), ARCHIVE_SILENT)
    return Found(tuple(newest(found)[: section.max_studies]), told=None if found else NONE)
