"""Who answers for whom: networks for phantoms a phantom, those for patients a patient, and nobody what is neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from analysed import RULES, Networks
from made import incoming, phantom, radiograph
from pydicom import Dataset, dcmread
from sqlalchemy import select

from xrv_node import models
from xrv_node.analyse.analyser import Analyser
from xrv_node.db import progress, queries, queue
from xrv_node.db.store import Store
from xrv_node.db.tables import AnalysisRow, Instance, ResultRow, Study
from xrv_node.errors import ImageError, WithheldError
from xrv_node.jobs import analyse, report, rerun
from xrv_node.jobs.outcomes import of_phantoms
from xrv_node.phantom.mark import stamp
from xrv_node.phantom.recognition import MARKED
from xrv_node.reasons import as_is
from xrv_node.receive import intake
from xrv_node.settings import Settings
from xrv_node.spool import Spool
from xrv_node.values import PHANTOM_WORDS, Analysis, AnalysisInput


@pytest.fixture(scope="module")
def phantoms() -> Analyser:
    return Analyser(models.phantom_set())


class Marked(Networks):
    """Networks for patients that find the mark in every image."""

    def analyse(self, batch: Sequence[AnalysisInput]) -> list[Analysis | ImageError]:
        return [WithheldError(MARKED, 99.0) for _ in batch]


class Node:
    """A node's database and spool, with both sets of networks or with those for phantoms alone."""

    def __init__(self, store: Store, spool: Spool, phantoms: Analyser, patients: Networks | None) -> None:
        self.store, self.spool, self.phantoms, self.patients = store, spool, phantoms, patients

    def take(self, *images: Dataset) -> list[Instance]:
        for image in images:
            intake.accept(self.store, self.spool, RULES, incoming(image))
        return self.work()

    def work(self) -> list[Instance]:
        claims = queue.claim(self.store, "analyse", owner="t", limit=9)
        analyse.run(self.store, self.spool, self.patients, claims, phantoms=self.phantoms)
        with self.store.read() as db:
            return list(db.scalars(select(Instance).order_by(Instance.id)))

    def report(self, *kinds: str) -> list[Dataset]:
        """Close the study; returns the results."""
        with self.store.begin() as db:
            progress.close_study(db, db.scalars(select(Study)).one(), as_is("test"))
        claims = queue.claim(self.store, "report", owner="t")
        ours = self.phantoms.model_set
        theirs = self.patients.model_set if self.patients else ours
        out = {"name": "out", "kind": "folder", "path": "/nowhere", "send": kinds or ("report",)}
        report.run(Settings(destinations=[out]), self.store, self.spool, theirs, claims, ours)
        with self.store.read() as db:
            return [dcmread(self.spool.absolute(row.path)) for row in db.scalars(select(ResultRow))]

    def events(self, name: str) -> list[dict[str, Any]]:
        with self.store.read() as db:
            return [e["detail"] for e in queries.events(db, event=name)]


@pytest.fixture
def both(store: Store, spool: Spool, phantoms: Analyser) -> Node:
    return Node(store, spool, phantoms, Networks())


@pytest.fixture
def alone(store: Store, spool: Spool, phantoms: Analyser) -> Node:
    return Node(store, spool, phantoms, None)


def test_a_phantom_is_answered_by_its_own_networks_and_counts_for_nothing(both: Node) -> None:
    (image,) = both.take(phantom())
    assert (image.state, image.verdict) == ("analysed", "phantom")
    assert image.evidence[0]["value"].startswith("mark of phantoms, z ")
    (told,) = both.events("instance.analysed")
    assert told["phantom"]
    assert told["mark"] > 8
    with both.store.read() as db:
        assert db.scalars(select(AnalysisRow)).one().phantom
        assert db.scalars(select(Study)).one().patient is None
        assert of_phantoms(db, image.study_id)
    (made,) = both.report()
    assert PHANTOM_WORDS in made.SeriesDescription
    assert made.ConceptNameCodeSequence[0].CodeMeaning.startswith(PHANTOM_WORDS)


def test_without_weights_a_patient_gets_no_findings_and_it_is_counted(alone: Node) -> None:
    patient, marked = alone.take(radiograph(), phantom(2, study=2))
    assert (patient.state, patient.verdict) == ("skipped", "frontal")
    assert patient.reasons[0].key == "not-a-phantom"
    assert marked.state == "analysed"
    assert len(alone.events("instance.not_a_phantom")) == 1
    with alone.store.read() as db:
        assert len(db.scalars(select(AnalysisRow)).all()) == 1


def test_of_an_image_that_is_no_phantom_nothing_is_made(alone: Node) -> None:
    alone.take(radiograph())
    assert alone.report("report", "seg", "sc", "sr", "pm") == []


def test_once_there_are_weights_it_is_analysed_when_a_person_asks(alone: Node) -> None:
    alone.take(radiograph())
    with alone.store.begin() as db:
        progress.close_study(db, db.scalars(select(Study)).one(), as_is("test"))
        assert rerun.reprocess(db, alone.spool, "1.2.3.1") == 1
    alone.patients = Networks()
    (image,) = alone.work()
    assert (image.state, image.verdict) == ("analysed", "frontal")
    assert "not-a-phantom" not in {reason.key for reason in image.reasons}


@pytest.mark.parametrize("node", ["both", "alone"])
def test_what_calls_itself_a_phantom_without_the_mark_is_refused_as_before(
    node: str, request: pytest.FixtureRequest
) -> None:
    (image,) = request.getfixturevalue(node).take(phantom(marked=False))
    assert (image.state, image.verdict) == ("skipped", "not_suitable")
    assert image.reasons[0].key == "objection-quality-control"
    assert len(request.getfixturevalue(node).events("instance.not_a_phantom")) == 1


def test_a_phantom_of_plastic_is_refused_by_its_header(both: Node) -> None:
    (image,) = both.take(radiograph(PatientName="PHANTOM^LUNGMAN"))
    assert (image.state, image.verdict) == ("skipped", "not_suitable")
    assert not both.events("instance.not_a_phantom")


def test_a_mark_in_a_patient_s_image_is_refused_for_its_own_reason(
    store: Store, spool: Spool, phantoms: Analyser
) -> None:
    node = Node(store, spool, phantoms, Marked())
    (image,) = node.take(phantom(QualityControlImage="NO", PatientName="SOMEBODY^ELSE"))
    assert (image.state, image.verdict) == ("skipped", "not_suitable")
    assert image.reasons[0].key == "marked-without-header"
    assert len(node.events("instance.marked_otherwise")) == 1


def test_the_phantoms_networks_refuse_whatever_else_they_are_handed(phantoms: Analyser, spool: Spool) -> None:
    """Whoever hands it to them: a patient, a patient with the mark, a phantom without."""
    patient, marked = radiograph(), phantom(QualityControlImage="NO")
    for number, image in enumerate((patient, marked, phantom(marked=False), phantom())):
        path = spool.root / f"{number}.dcm"
        image.save_as(path, enforce_file_format=True)
        (said,) = phantoms.analyse([AnalysisInput(str(number), path)])
        assert isinstance(said, WithheldError) == (number < 3)


def test_a_phantom_among_a_patient_s_images_is_not_reported_with_them(both: Node) -> None:
    both.take(
        radiograph(), phantom(2, PatientName=radiograph().PatientName, PatientID=radiograph().PatientID)
    )
    made = both.report()
    assert made
    for one in made:
        assert PHANTOM_WORDS not in str(one)


def test_a_phantom_analysed_twice_keeps_one_sign_of_its_mark(both: Node) -> None:
    both.take(phantom())
    with both.store.begin() as db:
        rerun.reprocess(db, both.spool, "1.2.3.1")
    (image,) = both.work()
    assert sum(e["attribute"] == "pixels" for e in image.evidence) == 1


def test_a_mark_pasted_into_a_corner_does_not_make_a_phantom() -> None:
    from xrv_node.phantom.mark import find

    image = np.random.default_rng(5).normal(2000, 30, (600, 500)).astype(np.float32)
    image[:64, :64] = stamp(image, 4095.0)[:64, :64]
    assert not find(image).marked
