"""Which images of the record are exported, and which results there are of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from xrv_node import keyed
from xrv_node.db.tables import AnalysisRow, Instance, ResultRow, Study
from xrv_node.errors import ConfigError
from xrv_node.jobs import lookup
from xrv_node.spool import Spool
from xrv_node.values import OPERATING_POINT


@dataclass(frozen=True, slots=True)
class Selection:
    """What an image must be; every one that is given must be so, and of several values any."""

    studies: tuple[ColumnElement[bool], ...] = ()
    """What its study must be (``jobs.lookup``)."""
    columns: tuple[tuple[str, str], ...] = ()
    """Columns of its row with the value that they must have."""
    views: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    """At or over their operating point."""


@dataclass(frozen=True, slots=True)
class Image:
    """A received object, with what its newest analysis says."""

    uid: str
    path: str
    sha256: str
    transfer_syntax: str
    purged: bool
    verdict: str
    view: str
    columns: tuple[tuple[str, str], ...]
    """Of its row: what `Selection.columns` asks for."""
    analysed: bool
    scores: dict[str, float]
    models: dict[str, str]
    """Names by role."""
    model_set: str
    phantom: bool
    reconstruction_error: float | None


@dataclass(frozen=True, slots=True)
class Result:
    """An object that the node made."""

    uid: str
    kind: str
    path: str
    sha256: str
    purged: bool


def studies(db: Session, chosen: Selection) -> list[str]:
    """Return the Study Instance UIDs of what may have such an image, in the order in which they came."""
    return list(db.scalars(select(Study.study_instance_uid).where(*chosen.studies).order_by(Study.id)))


def images(db: Session, study: str, chosen: Selection) -> list[Image]:
    """Return a study's images that are chosen, one for each SOP Instance UID: the one that was analysed, else
    the first."""
    query = select(Instance).join(Study).where(Study.study_instance_uid == study).order_by(Instance.id)
    found: dict[str, Image] = {}
    for row in db.scalars(query):
        analyses = (
            select(AnalysisRow).where(AnalysisRow.instance_id == row.id).order_by(AnalysisRow.id.desc())
        )
        image = _image(row, db.scalars(analyses.limit(1)).first(), chosen)
        before = found.get(image.uid)
        if before is None or (image.analysed and not before.analysed):
            found[image.uid] = image
    return [image for image in found.values() if _is_chosen(image, chosen)]


def results(db: Session, study: str) -> list[Result]:
    """Return a study's newest results, key objects last, which may name others."""
    query = select(ResultRow).join(Study).where(Study.study_instance_uid == study).order_by(ResultRow.id)
    rows = db.scalars(query).all()
    newest = max((row.revision for row in rows), default=0)
    return [
        Result(row.sop_instance_uid, row.kind, row.path, row.sha256, row.purged_at is not None)
        for row in sorted(rows, key=lambda row: row.kind == "ko")
        if row.revision == newest
    ]


def listed(db: Session, spool: Spool, lines: Sequence[str]) -> ColumnElement[bool]:
    """Return what a study must be to stand in a list.

    Parameters
    ----------
    lines
        A Study Instance UID or an Accession Number each; blank ones and those that begin with # are none.

    Raises
    ------
    ConfigError
        A line names no study that came here; by its number, for an accession number is a patient's.
    """
    found: list[ColumnElement[bool]] = []
    for number, line in enumerate(lines, 1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        known = or_(Study.study_instance_uid == name, *_of_accession(spool, name))
        if db.scalar(select(Study.id).where(known).limit(1)) is None:
            (known,) = lookup.said(db, spool, accession=name)  # of those that came before there were digests
            if db.scalar(select(Study.id).where(known).limit(1)) is None:
                raise ConfigError(
                    f"--studies: line {number} is neither the Study Instance UID nor the Accession Number of "
                    "a study that came here; `xrv-node studies list` shows them"
                )
        found.append(known)
    if not found:
        raise ConfigError("--studies: the file names no study; write a UID or an Accession Number a line")
    return or_(*found)


def _of_accession(spool: Spool, name: str) -> list[ColumnElement[bool]]:
    return lookup.with_image(accession=keyed.attribute(spool.root, "accession", name))


def _image(row: Instance, analysis: AnalysisRow | None, chosen: Selection) -> Image:
    models = analysis.models if analysis is not None else {}
    return Image(
        uid=row.sop_instance_uid,
        path=row.path,
        sha256=row.sha256,
        transfer_syntax=row.transfer_syntax_uid,
        purged=row.purged_at is not None,
        verdict=row.verdict,
        view=row.view or "",
        columns=tuple((name, str(getattr(row, name))) for name, _ in chosen.columns),
        analysed=analysis is not None,
        scores=dict(analysis.scores) if analysis is not None else {},
        models={role: model["name"] for role, model in models.items()},
        model_set=analysis.model_set if analysis is not None else "",
        phantom=analysis is not None and analysis.phantom,
        reconstruction_error=analysis.reconstruction_error if analysis is not None else None,
    )


def _is_chosen(image: Image, chosen: Selection) -> bool:
    return (
        image.columns == chosen.columns
        and (not chosen.views or image.view in chosen.views)
        and (not chosen.findings or any(image.scores.get(f, 0.0) >= OPERATING_POINT for f in chosen.findings))
    )
