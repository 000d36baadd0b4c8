"""The worker's part: what the networks for patients say of a test's phantom, which is nobody's result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from xrv_node.analyse.analysis_file import save
from xrv_node.constancy import baseline, record
from xrv_node.db import progress, trail
from xrv_node.db.queue import Claim
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance
from xrv_node.spool import Spool
from xrv_node.values import Analysis, AnalysisInput

if TYPE_CHECKING:
    from xrv_node.analyse.analyser import Analyser

log = structlog.get_logger("constancy")


def run(store: Store, spool: Spool, analyser: Analyser, claims: Sequence[Claim]) -> None:
    """Have the networks for patients answer those images, of a batch, that are a test's.

    Parameters
    ----------
    analyser
        Of patients. What it says of a phantom is kept in a file for the test, and in nothing that is sent.
    """
    for claim in claims:
        with store.read() as db:
            study = progress.study_of(db, claim.study_id).study_instance_uid
            if not record.is_test(db, study):
                continue
            instance = db.get_one(Instance, claim.instance_id)
        image = AnalysisInput(instance.sop_instance_uid, spool.absolute(instance.path))
        (found,) = analyser.analyse([image], phantoms=True)
        if not isinstance(found, Analysis):
            log.error("no answer to the test of constancy", study=study, why=str(found))
            continue
        save(found, baseline.measured(spool.root, study))
        with store.begin() as db:
            trail.record(
                db,
                record.MEASURED,
                study=study,
                model_set=found.model_set.digest,
                scores={finding.label: round(finding.score, 6) for finding in found.findings},
            )
