"""What must be true of a node after any fault, once it has come to rest: database, spool and archives compared.

Each check yields a sentence for every place where its promise is broken. The archives are asked what they hold
and the files are read: nothing that the node says of itself is taken on trust.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from fault_archive import Held
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from xrv_node.db import trail
from xrv_node.db.store import Store
from xrv_node.db.tables import AnalysisRow, AuditEvent, Delivery, Instance, Job, ResultRow, Study
from xrv_node.retention import orphans
from xrv_node.spool import Spool

ARRIVED = ("delivered", "warning", "confirmed")


@dataclass(frozen=True)
class Scene:
    """A node at rest, and what the world outside knows."""

    store: Store
    spool: Spool
    acknowledged: Mapping[str, str]
    """SHA-256 of the data set by SOP Instance UID: what a sender was told Success for."""
    archives: Mapping[str, Sequence[Held]] = field(default_factory=dict)
    """What each DIMSE destination holds, by the destination's name."""
    killed: bool = True
    """Whether something died between an archive's answer and our record of it: the same object may then have
    been sent twice, which an archive answers as a duplicate."""


def broken(scene: Scene) -> list[str]:
    """Every invariant that does not hold, a sentence each; empty when all do."""
    with scene.store.read() as db:
        return [f"{check.__name__}: {found}" for check in CHECKS for found in check(db, scene)]


def received(db: Session, scene: Scene) -> Iterator[str]:
    """Every acknowledged object has a row and a file, and the file holds the bytes that were sent."""
    rows = {(row.sop_instance_uid, row.sha256): row for row in db.scalars(select(Instance))}
    for uid, sha256 in scene.acknowledged.items():
        row = rows.get((uid, sha256))
        if row is None:
            yield f"{uid} was acknowledged and has no row"
        elif not (path := scene.spool.absolute(row.path)).is_file():
            yield f"{uid} was acknowledged and has no file"
        elif dataset_digest(path) != sha256:
            yield f"the file of {uid} is not what was sent"


def analysed(db: Session, scene: Scene) -> Iterator[str]:
    """Every frontal image has an analysis that lies on disk; no other state is left."""
    done = {row: path for row, path in db.execute(select(AnalysisRow.instance_id, AnalysisRow.path))}
    for row in db.scalars(select(Instance)):
        if row.state not in ("analysed", "skipped") or (row.verdict == "frontal" and row.state == "skipped"):
            yield f"{row.sop_instance_uid} ({row.verdict}) is {row.state}"
        elif row.state == "analysed" and row.id not in done:
            yield f"{row.sop_instance_uid} has no analysis"
        elif row.state == "analysed" and not scene.spool.absolute(done[row.id]).is_file():
            yield f"the analysis of {row.sop_instance_uid} has no file"


def reported(db: Session, _: Scene) -> Iterator[str]:
    """Every study is closed and has a report, and each of its revisions one object a kind."""
    rows = select(ResultRow.study_id, ResultRow.kind, ResultRow.variant, ResultRow.revision)
    made = Counter(tuple(row) for row in db.execute(rows))
    with_analysis = set(db.scalars(select(Instance.study_id).where(Instance.state == "analysed")))
    for study in db.scalars(select(Study)):
        if study.state != "reported":
            yield f"study {study.study_instance_uid} is {study.state}"
        elif study.id in with_analysis and not any(key[:2] == (study.id, "report") for key in made):
            yield f"study {study.study_instance_uid} has no report"
    for (study_id, kind, _variant, revision), count in made.items():
        if count > 1:
            yield f"revision {revision} of study {study_id} has {count} {kind} objects: one content, many UIDs"


def delivered(db: Session, scene: Scene) -> Iterator[str]:
    """Every delivery arrived, and each archive holds what it was sent, once, and nothing else."""
    wanted: dict[str, set[str]] = defaultdict(set)
    rows = select(Delivery.destination, Delivery.state, ResultRow.sop_instance_uid)
    for destination, state, uid in db.execute(rows.join(ResultRow, ResultRow.id == Delivery.result_id)):
        wanted[destination].add(uid)
        if state not in ARRIVED:
            yield f"{uid} to {destination} is {state}"
    for name, held in scene.archives.items():
        contents: dict[str, list[str]] = defaultdict(list)
        for item in held:
            contents[item.sop_instance_uid].append(item.sha256)
        for uid in wanted[name] - contents.keys():
            yield f"{uid} never arrived at {name}"
        for uid in contents.keys() - wanted[name]:
            yield f"{name} holds {uid}, of which there is no record"
        for uid, digests in contents.items():
            if len(set(digests)) > 1:
                yield f"{uid} arrived at {name} with {len(set(digests))} contents"
            elif len(digests) > 1 and not scene.killed:
                yield f"{uid} arrived {len(digests)} times at {name}"


def files(db: Session, scene: Scene) -> Iterator[str]:
    """Every row's file is there and whole, and a file without a row is one that doctor names."""
    for row in db.scalars(select(ResultRow)):
        path = scene.spool.absolute(row.path)
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != row.sha256:
            yield f"the file of result {row.sop_instance_uid} is missing or damaged"
    known = {path for column in _PATHS for path in db.scalars(select(column))}
    with patch.object(orphans, "SETTLED_SECONDS", -1):  # the node is at rest: no file is still being written
        named = orphans.find(db, scene.spool)
    on_disk = {scene.spool.relative(p) for p in (scene.spool.root / "spool").rglob("*") if p.is_file()}
    for path in sorted(on_disk - known - {*named.inputs, *named.derived}):
        yield f"nothing knows {path}"


def jobs(db: Session, _: Scene) -> Iterator[str]:
    """No job is left: all are done, or cancelled with their study; and none is missing."""
    for job in db.scalars(select(Job).where(Job.state.not_in(("done", "cancelled")))):
        yield f"{job.kind} job {job.id} is {job.state} after {job.attempts} attempts"
    with_job = select(Job.delivery_id).where(Job.delivery_id.is_not(None))
    for lost in db.scalars(select(Delivery.id).where(Delivery.id.not_in(with_job))):
        yield f"delivery {lost} has no job"
    idle = select(Instance.id).where(
        Instance.state.in_(("queued", "analysed")),
        Instance.id.not_in(select(Job.instance_id).where(Job.instance_id.is_not(None))),
    )
    for lost in db.scalars(idle):
        yield f"instance {lost} has no job"


def audit(db: Session, _: Scene) -> Iterator[str]:
    """The chain is whole, and what was received, analysed and delivered is on it, each once."""
    found = trail.verify(db)
    if isinstance(found, trail.Broken):
        yield found.why
    tables = (
        ("instance.received", func.count(Instance.id), Instance.verdict.is_not(None)),
        ("instance.analysed", func.count(Instance.id), Instance.state == "analysed"),
        ("result.delivered", func.count(Delivery.id), Delivery.state.in_(ARRIVED)),
    )
    for event, count, where in tables:
        events = db.scalar(select(func.count()).where(AuditEvent.event == event))
        if events != (rows := db.scalar(select(count).where(where))):
            yield f"{events} events {event}, {rows} rows"


def dataset_digest(path: Path) -> str:
    """SHA-256 of a file's data set, what follows preamble and file meta information (PS3.10 7.1)."""
    whole = path.read_bytes()
    if whole[128:132] != b"DICM" or len(whole) < 144:
        return "not a DICOM file"
    return hashlib.sha256(whole[144 + int.from_bytes(whole[140:144], "little") :]).hexdigest()


_PATHS = (Instance.path, AnalysisRow.path, ResultRow.path)

CHECKS: tuple[Callable[[Session, Scene], Iterator[str]], ...] = (
    *(received, analysed, reported, delivered, files, jobs, audit),
)
