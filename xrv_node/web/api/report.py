"""A study as a person reads it: the sentence of its report, then image by image what was found and how sure
that is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select
from typing_extensions import TypedDict

from xrv_node.analyse.analysis_file import load
from xrv_node.attributes import integer, text
from xrv_node.db import queries
from xrv_node.db.tables import AnalysisRow, Instance, Study
from xrv_node.errors import ConfigError, XrvNodeError
from xrv_node.jobs import outcomes, report, results
from xrv_node.models import catalog
from xrv_node.priors import search
from xrv_node.report import heart, summary
from xrv_node.report.certainty import earlier, near, notes, of_hundred
from xrv_node.report.located import place
from xrv_node.report.phrases import named, say
from xrv_node.settings.priors import LocalPriors
from xrv_node.values import (
    Analysis,
    Finding,
    ImageOutcome,
    ModelIdentity,
    ModelSet,
    Point,
    StudyOutcome,
)
from xrv_node.web.node import WebNode

LANGUAGE = "en"
"""Of the pages."""


class Patient(TypedDict):
    """Whose study it is, as the first image says."""

    name: str
    """Patient's Name."""
    id: str
    """Patient ID."""
    birth_date: str
    """As in the header."""
    sex: str
    """As in the header."""
    study_date: str
    """As in the header."""
    accession: str
    """Accession Number."""
    description: str
    """Study Description."""


class FindingRead(TypedDict):
    """A finding of an image."""

    label: str
    """torchxrayvision's name."""
    name: str
    """As the report calls it."""
    score: float
    """In [0, 1]; 0.5 is the operating point."""
    shown: str
    """The score as the report shows it, of 100."""
    present: bool
    """Whether it is at or over its operating point."""
    near: bool
    """Whether another exposure may well fall on the other side."""
    where: str
    """Side and zone, where they are known."""
    notes: list[str]
    """How sure it is, where it lies, what it was."""
    operating_point: float | None
    """On the sigmoid's scale, at which it counts as present; null: not known."""
    whose: str
    """``published`` or ``site``: who set that."""
    region: list[Point]
    """Closed polygon, column and row in pixels; empty where none may be drawn."""
    heat: bool
    """Whether there is a map of it."""


class ImageRead(TypedDict):
    """An image of a study."""

    instance: str
    """SOP Instance UID."""
    series: str
    """Series Instance UID."""
    name: str
    """As the report calls it."""
    rows: int
    """Its height in pixels."""
    columns: int
    """Its width in pixels."""
    answered: bool
    """Whether the networks answered and that is reported."""
    cautions: list[str]
    """What the reader of its findings must know."""
    ratio: list[str]
    """The cardiothoracic ratio, where it was measured."""
    findings: list[FindingRead]
    """In the order of the report; none where it is not answered."""
    structures: list[str]
    """What the anatomy network found, as the report calls it."""


class StudyRead(TypedDict):
    """A study as a person reads it."""

    study: str
    """Study Instance UID."""
    sentences: list[str]
    """Of the report; several where the images name several patients."""
    notice: str
    """What it is not."""
    phantom: bool
    """Whether networks for phantoms answered."""
    patient: Patient
    """Whose it is."""
    images: list[ImageRead]
    """In the order of the report."""
    left_out: list[str]
    """Which images were not analysed, and why."""


@dataclass(frozen=True)
class Read:
    """A study with what its report is made of."""

    outcomes: tuple[StudyOutcome, ...]
    """One for each patient."""

    @property
    def images(self) -> Iterator[tuple[StudyOutcome, int, ImageOutcome]]:
        """Every image, with its number in the report that it is of."""
        for outcome in self.outcomes:
            for number, image in enumerate(outcome.images, 1):
                yield outcome, number, image


def read(node: WebNode, uid: str) -> Read:
    """Read what a report of the study would say.

    Earlier studies are those of the spool: no archive is asked.

    Raises
    ------
    XrvNodeError
        There is no such study, or its images or analyses are not here any more.
    """
    with node.store.read() as db:
        study = db.scalars(select(Study).where(Study.study_instance_uid == uid)).one_or_none()
        if study is None:
            queries.study(db, uid)  # says so
            raise XrvNodeError(f"no study {uid} came here")
        newest = (
            select(AnalysisRow.path)
            .join(Instance, Instance.id == AnalysisRow.instance_id)
            .where(Instance.study_id == study.id, AnalysisRow.purged_at.is_(None))
            .order_by(AnalysisRow.id.desc())
        )
        path = db.scalars(newest.limit(1)).first()
        commissioning = queries.commissioning(db)
    models = load(node.spool.absolute(path)).model_set if path else _configured(node, phantom=commissioning)
    closed = outcomes.read(node.store, node.spool, study.id, models)
    here = LocalPriors(max_studies=node.settings.priors.max_studies)
    settings = node.settings.model_copy(update={"priors": here})
    alone = len(closed.patients) == 1 and not models.phantom
    priors = search.find(settings, node.store, node.spool, uid, closed.images) if alone else search.Found()
    rates = report.measured(node.settings, models)
    found = results.by_patient(node.spool, models, closed, priors, rates)
    return Read(tuple(one.outcome for one in found))


def _configured(node: WebNode, *, phantom: bool) -> ModelSet:
    """Stands for networks of which there is no answer yet."""
    classifier, segmenter, autoencoder = node.settings.models.names
    return ModelSet(
        ModelIdentity("classifier", classifier, ""),
        ModelIdentity("segmenter", segmenter, ""),
        ModelIdentity("autoencoder", autoencoder, ""),
        phantom,
    )


def told(node: WebNode, uid: str) -> StudyRead:
    """Tell a study as a person reads it."""
    found = read(node, uid)
    first = found.outcomes[0]
    return {
        "study": uid,
        "sentences": [summary.headline(outcome, LANGUAGE) for outcome in found.outcomes],
        "notice": say("notice", LANGUAGE),
        "phantom": first.model_set.phantom,
        "patient": _patient(first.images[0]),
        "images": [_image(node, outcome, number, image) for outcome, number, image in found.images],
        "left_out": [line for outcome in found.outcomes for line in summary.not_analysed(outcome, LANGUAGE)],
    }


def _patient(image: ImageOutcome) -> Patient:
    def said(keyword: str) -> str:
        return text(image.header, keyword)

    return {
        "name": said("PatientName"),
        "id": said("PatientID"),
        "birth_date": said("PatientBirthDate"),
        "sex": said("PatientSex"),
        "study_date": said("StudyDate"),
        "accession": said("AccessionNumber"),
        "description": said("StudyDescription"),
    }


def _image(node: WebNode, outcome: StudyOutcome, number: int, image: ImageOutcome) -> ImageRead:
    analysis = image.analysis if image.error is None else None
    structures = [] if analysis is None else zip(analysis.structures, analysis.masks, strict=True)
    return {
        "instance": text(image.header, "SOPInstanceUID"),
        "series": text(image.header, "SeriesInstanceUID"),
        "name": summary.image_name(number, image, LANGUAGE),
        "rows": integer(image.header, "Rows"),
        "columns": integer(image.header, "Columns"),
        "answered": analysis is not None,
        "cautions": list(summary.quality(image, LANGUAGE)) if analysis is not None else [],
        "ratio": _ratio(image) if analysis is not None else [],
        "findings": []
        if analysis is None
        else [_finding(node, outcome, image, analysis, one) for one in summary.findings(image)],
        "structures": [named("structure", name, LANGUAGE) for name, mask in structures if mask.any()],
    }


def _ratio(image: ImageOutcome) -> list[str]:
    """The cardiothoracic ratio by its name, as the report says it."""
    first, *more = heart.sentences(image, LANGUAGE) or [""]
    return [f"{named('measurement', 'CTR', LANGUAGE)} {first}", *more] if first else []


def _finding(
    node: WebNode, outcome: StudyOutcome, image: ImageOutcome, analysis: Analysis, finding: Finding
) -> FindingRead:
    lies = place(image, finding)
    point, whose = _point(node, analysis, finding.label)
    said = list(notes(finding, outcome, LANGUAGE)) if finding.present else []
    if lies.caution is not None:
        said.append(say(lies.caution, LANGUAGE))
    if change := earlier(finding, summary.compared(outcome), LANGUAGE):
        said.append(change)
    return {
        "label": finding.label,
        "name": named("finding", finding.label, LANGUAGE),
        "score": finding.score,
        "shown": of_hundred(finding.score),
        "present": finding.present,
        "near": near(finding),
        "where": summary.where(image, finding, LANGUAGE),
        "notes": said,
        "operating_point": point,
        "whose": whose,
        "region": list(lies.region),
        "heat": analysis.maps is not None,
    }


def _point(node: WebNode, analysis: Analysis, label: str) -> tuple[float | None, str]:
    """A finding's operating point on the sigmoid's scale, and who set it."""
    classifier = analysis.model_set.classifier
    if (own := dict(classifier.site_thresholds).get(label)) is not None:
        return own, "site"
    try:
        entry = catalog.find(classifier.name, directory=node.settings.models_dir)
    except (ConfigError, XrvNodeError):  # a network that the catalogue does not have any more
        return None, "published"
    published = dict(zip(entry.labels, entry.thresholds, strict=False)).get(label, math.nan)
    return (None if math.isnan(published) else published), "published"
