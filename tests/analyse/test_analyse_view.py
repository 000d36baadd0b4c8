"""What the header leaves open, the pixels decide; and where nothing can decide, the site does."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapes
import torch
from made import incoming, radiograph
from sqlalchemy import select
from worded import said

from xrv_node.analyse import view
from xrv_node.analyse.view import from_pixels
from xrv_node.db import progress, queries, queue
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance, Job, Study
from xrv_node.errors import ConfigError, ImageError, WeightsError
from xrv_node.jobs import analyse as job
from xrv_node.models import architectures
from xrv_node.reasons import Reason, as_is
from xrv_node.receive import intake
from xrv_node.settings import FrontalSection
from xrv_node.spool import Spool
from xrv_node.values import (
    Analysis,
    AnalysisInput,
    Evidence,
    Finding,
    Frame,
    FrontalDecision,
    ModelIdentity,
    ModelSet,
    Verdict,
)

NAME = "xinario"
OPEN = FrontalDecision(
    Verdict.UNKNOWN, None, (Reason("view-not-told"),), (Evidence("BodyPartExamined", "CHEST", "chest"),)
)


class Answering:
    """An analyser that answers at once and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    @property
    def model_set(self) -> ModelSet:
        return ModelSet(*(ModelIdentity(r, r, "ab" * 32) for r in ("classifier", "segmenter", "autoencoder")))

    def analyse(self, batch: Sequence[AnalysisInput]) -> list[Analysis | ImageError]:
        self.asked += [item.sop_instance_uid for item in batch]
        return [
            Analysis(
                sop_instance_uid=item.sop_instance_uid,
                model_set=self.model_set,
                findings=(Finding("Mass", 0.25, 0.25),),
                structures=("Heart",),
                masks=np.zeros((1, 8, 8), bool),
                frame=Frame(300, 260, 20, 0, 260),
                reconstruction_error=1.0,
                embedding=np.zeros(512, np.float32),
                resampler="none",
                ssim=0.5,
            )
            for item in batch
        ]


def deciding(difference: float) -> view.Reader:
    return lambda _path, told: from_pixels(told, NAME, difference)


def received(store: Store, spool: Spool, *, by_pixels: bool = True, unknown: Any = "skip") -> list[str]:
    """A frontal image and one whose header tells no view; returns the second's state."""
    rules = FrontalSection(unknown=unknown)
    intake.accept(store, spool, rules, incoming(radiograph(1)), views_from_pixels=by_pixels)
    silent = radiograph(2, ViewPosition="", PatientOrientation=None)
    intake.accept(store, spool, rules, incoming(silent), views_from_pixels=by_pixels)
    return [row.state for row in rows(store)]


def rows(store: Store) -> list[Instance]:
    with store.read() as db:
        return list(db.scalars(select(Instance).order_by(Instance.id)))


def jobs(store: Store, kind: str = "analyse") -> list[str]:
    with store.read() as db:
        return [j.state for j in db.scalars(select(Job).where(Job.kind == kind).order_by(Job.id))]


def events(store: Store, name: str) -> list[dict[str, Any]]:
    with store.read() as db:
        return [e for e in queries.events(db) if e["event"] == name]


def work(store: Store, spool: Spool, reader: view.Reader | None, unknown: Any = "skip") -> Answering:
    analyser = Answering()
    job.run(store, spool, analyser, queue.claim(store, "analyse", owner="w", limit=9), reader, unknown)
    return analyser


def test_intake_queues_what_the_pixels_can_decide(store: Store, spool: Spool) -> None:
    assert received(store, spool) == ["queued", "queued"]


def test_intake_leaves_it_to_the_site_where_they_cannot(store: Store, spool: Spool) -> None:
    assert received(store, spool, by_pixels=False) == ["queued", "skipped"]


@pytest.mark.parametrize(
    "told",
    [
        {"ViewPosition": "LL", "PatientOrientation": ["A", "F"]},
        {"BodyPartExamined": "KNEE"},
        {"PresentationIntentType": "FOR PROCESSING"},
    ],
)
def test_what_the_header_does_tell_is_not_asked_again(
    store: Store, spool: Spool, told: dict[str, Any]
) -> None:
    intake.accept(store, spool, FrontalSection(), incoming(radiograph(**told)), views_from_pixels=True)
    (row,) = rows(store)
    assert row.verdict in ("lateral", "not_chest", "not_suitable")
    assert row.state == "skipped"
    assert jobs(store) == []


def test_a_frontal_view_is_analysed_and_the_decision_recorded(store: Store, spool: Spool) -> None:
    received(store, spool)
    analyser = work(store, spool, deciding(12.34))
    assert analyser.asked == ["1.2.3.1.1.1", "1.2.3.1.1.2"]
    known, asked = rows(store)
    assert (known.state, asked.state) == ("analysed", "analysed")
    assert asked.verdict == "frontal"
    assert said(asked.reasons[0]) == f"The pixels show a frontal view ({NAME}, logit difference +12.3)."
    assert Reason("view-not-told") in asked.reasons
    assert asked.evidence[0] == {
        "attribute": "pixels",
        "value": f"view model {NAME}, logit difference +12.34",
        "indicates": "frontal",
    }
    (event,) = events(store, "instance.view_decided")
    assert event["instance"] == "1.2.3.1.1.2"
    assert event["detail"]["analyse"] is True
    assert not any("pixels" in said(reason) for reason in known.reasons)


def test_a_lateral_view_is_skipped_with_its_reason_and_the_study_goes_on(store: Store, spool: Spool) -> None:
    received(store, spool)
    with store.begin() as db:
        progress.close_study(db, db.scalars(select(Study)).one(), as_is("test"))
    analyser = work(store, spool, deciding(-3.0))
    assert analyser.asked == ["1.2.3.1.1.1"]
    assert [row.state for row in rows(store)] == ["analysed", "skipped"]
    assert said(rows(store)[1].reasons[0]).startswith("The pixels show a lateral view")
    assert jobs(store) == ["done", "done"]
    assert jobs(store, "report") == ["queued"]


def test_a_study_of_nothing_but_a_lateral_view_is_closed_too(store: Store, spool: Spool) -> None:
    silent = radiograph(2, ViewPosition="", PatientOrientation=None)
    intake.accept(store, spool, FrontalSection(), incoming(silent), views_from_pixels=True)
    with store.begin() as db:
        progress.close_study(db, db.scalars(select(Study)).one(), as_is("test"))
    assert jobs(store, "report") == []
    assert work(store, spool, deciding(-3.0)).asked == []
    assert jobs(store, "report") == ["queued"]


@pytest.mark.parametrize(("unknown", "asked"), [("skip", 1), ("analyse", 2)])
def test_a_worker_without_the_model_does_as_the_site_says(
    store: Store, spool: Spool, unknown: Any, asked: int
) -> None:
    received(store, spool, unknown=unknown)
    assert len(work(store, spool, None, unknown).asked) == asked
    state = "analysed" if unknown == "analyse" else "skipped"
    assert rows(store)[1].state == state
    assert rows(store)[1].verdict == "unknown"
    assert jobs(store) == ["done", "done"]


def test_an_image_that_cannot_be_read_ends_its_own_job_only(store: Store, spool: Spool) -> None:
    received(store, spool)

    def unreadable(_path: Path, _told: FrontalDecision) -> FrontalDecision:
        raise ImageError(Reason("undecodable", why="ValueError"))

    assert work(store, spool, unreadable).asked == ["1.2.3.1.1.1"]
    first, second = rows(store)
    assert (first.state, second.state) == ("analysed", "failed")
    assert said(second.error) == "The image cannot be decoded (ValueError)."
    assert jobs(store) == ["done", "parked"]


def test_a_job_that_another_worker_has_is_left_to_it(store: Store, spool: Spool) -> None:
    received(store, spool)
    claims = queue.claim(store, "analyse", owner="w", limit=9)
    stale = [dataclasses.replace(claim, lease="not this one") for claim in claims]
    analyser = Answering()
    job.run(store, spool, analyser, stale, deciding(5.0))
    assert [row.state for row in rows(store)] == ["queued", "queued"]
    assert events(store, "instance.view_decided") == []


# ---------------------------------------------------------------- the model


def test_without_weights_there_is_no_reader(tmp_path: Path) -> None:
    assert view.reader(NAME, tmp_path, "cpu") is None


@pytest.mark.parametrize("name", ["mira", "riken"])
def test_a_model_that_tells_something_else_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"models\.view: {name} does not tell views apart"):
        view.reader(name, tmp_path, "cpu")


def test_a_name_that_no_model_has_is_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no attribute is called 'frontalizer'"):
        view.reader("frontalizer", tmp_path, "cpu")


def test_the_two_logits_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A seeded network stands in; its logits are torchvision's on the image that torchxrayvision would make."""
    import torchvision

    xrv = pytest.importorskip("torchxrayvision")
    from xrv_node.models import get_model

    generator = torch.Generator().manual_seed(3)
    state = architectures.skeleton("resnet50_view").state_dict()
    state = {
        key: torch.ones(value.shape, dtype=value.dtype)
        if key.endswith(("running_var", "weight")) and value.ndim == 1
        else torch.zeros(value.shape, dtype=value.dtype)
        if value.ndim < 2
        else torch.randn(value.shape, generator=generator) * (2 / value[0].numel()) ** 0.5
        for key, value in state.items()
    }
    monkeypatch.setattr(view, "missing", lambda *_: [])
    monkeypatch.setattr(view, "get_model", lambda name, directory, device: get_model(name, state=state))
    reader = view.reader(NAME, tmp_path, "cpu")
    assert reader is not None
    path = tmp_path / "image.dcm"
    shapes.dicom("PA", rows=300, seed=3).save_as(path)

    theirs = torchvision.models.resnet50()
    theirs.load_state_dict(state)
    pixels = xrv.datasets.normalize(shapes.radiograph("PA", rows=300, seed=3), 4095)[None]
    small = xrv.datasets.XRayResizer(224)(xrv.datasets.XRayCenterCrop()(pixels))
    rgb = (torch.from_numpy(small)[None].float().repeat(1, 3, 1, 1) + 1024) / 2048
    normal = torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    with torch.inference_mode():
        frontal, lateral = theirs.eval()(normal(rgb))[0, :2].tolist()

    decision = reader(path, OPEN)
    assert decision.verdict == (Verdict.FRONTAL if frontal > lateral else Verdict.LATERAL)
    said = float(decision.evidence[0].value.rpartition(" ")[2])
    assert said == pytest.approx(frontal - lateral, abs=0.011)
    assert abs(said) > 0.05
    assert decision.reasons[1:] == OPEN.reasons
    assert decision.evidence[1:] == OPEN.evidence


@pytest.mark.parametrize("difference", [float("nan"), float("inf")])
def test_no_number_is_no_view(difference: float) -> None:
    with pytest.raises(ImageError, match="no number"):
        from_pixels(OPEN, NAME, difference)


def test_an_unreadable_file_is_an_image_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "missing", lambda *_: [])
    model = torch.nn.Identity()
    model.targets = ("Frontal", "Lateral")
    monkeypatch.setattr(view, "get_model", lambda *_: model)
    reader = view.reader(NAME, tmp_path, "cpu")
    assert reader is not None
    (tmp_path / "text.dcm").write_text("not an image")
    with pytest.raises(ImageError):
        reader(tmp_path / "text.dcm", OPEN)
