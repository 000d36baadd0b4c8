"""The clock's part: a phantom out, its answers compared, the outcome on record."""

from __future__ import annotations

import tempfile
import threading
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time

from sqlalchemy import select
from sqlalchemy.orm import Session

from xrv_node import reasons
from xrv_node.acceptance import cast, sending
from xrv_node.acceptance.cases import Case, Shot
from xrv_node.acceptance.expected import ExpectedCase
from xrv_node.analyse.analysis_file import load
from xrv_node.constancy import answer, baseline, compare, record
from xrv_node.db import trail
from xrv_node.db.store import Store
from xrv_node.db.tables import AnalysisRow, Instance, Study, StudyState
from xrv_node.deliver import way
from xrv_node.errors import ConfigError, DestinationError, XrvNodeError
from xrv_node.reasons import Reason
from xrv_node.settings import Settings
from xrv_node.spool import Spool

CASE = Case("constancy", "study", (Shot(("Effusion",)),))
SEED = 2026
"""Of the image, the same every day: the answer to it is compared with the one of before."""
ROWS = 1024
_LOOK_SECONDS = 0.5
_LEFT_SECONDS = 86400
"""Older answers than this are of no test that is under way."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a test has shown."""

    study: str
    amiss: tuple[Reason, ...]
    """Empty: all is as it was."""
    machine: Mapping[str, str]
    """What the networks ran on."""
    scores: Mapping[str, float]
    """Of the networks for phantoms."""

    @property
    def good(self) -> bool:
        """Whether there is nothing to look at."""
        return not self.amiss


def run(settings: Settings, store: Store, spool: Spool, stop: threading.Event) -> Outcome | None:
    """Test, and put the outcome on record.

    Parameters
    ----------
    stop
        Ends the wait for an answer. Then nothing is on record, and the test is due as before.

    Returns
    -------
    Outcome or None
        None where it was stopped.
    """
    outcome = test(settings, store, spool, stop)
    if stop.is_set() and not _over(store, outcome.study):
        return None
    with store.begin() as db:
        trail.record(
            db,
            record.CHECKED,
            study=outcome.study,
            good=outcome.good,
            amiss=list(outcome.amiss),
            machine=dict(outcome.machine),
            scores=dict(outcome.scores),
        )
    _tidy(spool.root, outcome.study)
    return outcome


def accept(settings: Settings, store: Store, spool: Spool, *, name: str, reason: str) -> Outcome:
    """Test, and take the answer for the baseline.

    Returns
    -------
    Outcome
        Of a test beside the new baseline: what is still amiss is wrong, and not only other than before. Then
        nothing was accepted.
    """
    study, expected = _sent(settings, store)
    if isinstance(expected, list):
        amiss = expected
    else:
        amiss = _answered(settings, store, spool, study, expected, threading.Event())
    with store.read() as db:
        machine, scores = _machine(db), _scores(db, study)
    if not amiss:
        with store.begin() as db:
            baseline.accept(db, spool.root, study, machine, name=name, reason=reason)
            trail.record(db, record.CHECKED, study=study, good=True, amiss=[], machine=machine, scores=scores)
    _tidy(spool.root, study)
    return Outcome(study, tuple(amiss), machine, scores)


def test(settings: Settings, store: Store, spool: Spool, stop: threading.Event) -> Outcome:
    """Send the phantom, wait for both answers, and compare."""
    study, expected = _sent(settings, store)
    if isinstance(expected, list):
        amiss = expected
    else:
        amiss = _answered(settings, store, spool, study, expected, stop)
        amiss += _as_accepted(store, spool, study)
    with store.read() as db:
        return Outcome(study, tuple(amiss), _machine(db), _scores(db, study))


def _sent(settings: Settings, store: Store) -> tuple[str, ExpectedCase | list[Reason]]:
    """Send the phantom; its study, and what is true of it or why it was not taken."""
    calling = settings.phantom_caller
    with tempfile.TemporaryDirectory(prefix="xrv-node-") as folder:
        expected = cast.expected(CASE, SEED, uuid.uuid4().hex, Path(folder), rows=ROWS)
        (study,) = expected.studies
        with store.begin() as db:  # before it goes out: the worker looks for it
            trail.record(db, record.BEGAN, study=study)
        try:
            (sent,) = sending.send(way.to_itself(settings, calling), expected, calling_ae=calling)
        except (DestinationError, ConfigError) as error:
            return study, [Reason("constancy-not-taken", why=reasons.of(error))]
    return study, expected if sent.good else [Reason("constancy-not-taken", why=reasons.as_is(sent.says))]


def _answered(
    settings: Settings, store: Store, spool: Spool, study: str, expected: ExpectedCase, stop: threading.Event
) -> list[Reason]:
    """What is amiss in the answer of the networks for phantoms."""
    minutes = settings.constancy.wait_minutes
    end = monotonic() + 60 * minutes
    while not (_over(store, study) or monotonic() > end or stop.wait(_LOOK_SECONDS)):
        pass
    with store.read() as db:
        found = _analysis(db, study)
        unmeasured = _others(db) and record.newest(db, record.MEASURED, study) is None
    if found is None or unmeasured:
        return [Reason("constancy-no-answer", minutes=f"{minutes:g}")]
    try:
        said = answer.of(load(spool.absolute(found.path)))
    except (OSError, XrvNodeError) as error:
        return [Reason("constancy-not-read", why=reasons.of(error))]
    return list(compare.beside_truth(said, expected.images[0]))


def _over(store: Store, study: str) -> bool:
    """Whether nothing more is to come of a test."""
    with store.read() as db:
        state = db.scalar(select(Study.state).where(Study.study_instance_uid == study))
        if state == StudyState.FAILED:
            return True
        measured = not _others(db) or record.newest(db, record.MEASURED, study) is not None
    return state == StudyState.REPORTED and measured


def _others(db: Session) -> bool:
    """Whether networks for patients run beside those for phantoms."""
    event = record.newest(db, "models.changed")
    return event is not None and not event["detail"].get("phantom", False)


def _analysis(db: Session, study: str) -> AnalysisRow | None:
    """That by the networks for phantoms: no other one is kept of such an image."""
    return db.scalar(
        select(AnalysisRow)
        .join(Instance, Instance.id == AnalysisRow.instance_id)
        .join(Study, Study.id == Instance.study_id)
        .where(Study.study_instance_uid == study)
    )


def _as_accepted(store: Store, spool: Spool, study: str) -> list[Reason]:
    """In what the machine, and the answer of the networks for patients, are not as they were accepted."""
    with store.read() as db:
        event, now = record.newest(db, record.ACCEPTED), _machine(db)
    if event is None:
        return [Reason("constancy-no-baseline")]
    amiss = list(compare.changed(now, event["detail"]["machine"]))
    before, file = baseline.read(spool.root, event), baseline.measured(spool.root, study)
    if isinstance(before, Reason):
        return [*amiss, before]
    if before is None or not file.is_file():
        return [*amiss, Reason("constancy-other-networks")] if (before is None) == file.is_file() else amiss
    found = answer.of(load(file))
    if found.model_set != before.model_set:
        amiss.append(Reason("constancy-other-networks"))
    return [*amiss, *compare.beside_baseline(found, before)]


def _machine(db: Session) -> dict[str, str]:
    """What the worker that loaded its networks last runs on."""
    event = record.newest(db, "machine.changed")
    return dict(event["detail"]["machine"]) if event else {}


def _scores(db: Session, study: str) -> dict[str, float]:
    """What the networks for phantoms said."""
    found = _analysis(db, study)
    return dict(found.scores) if found is not None else {}


def _tidy(root: Path, study: str) -> None:
    """The baseline is kept, and no other answer: neither this one nor that of a test that never came to its
    end."""
    ours = baseline.measured(root, study)
    kept = {ours, baseline.accepted(root)}
    with suppress(OSError):
        ours.unlink(missing_ok=True)
        for other in set(ours.parent.glob("*.npz")) - kept:
            if time() - other.stat().st_mtime > _LEFT_SECONDS:
                other.unlink()
