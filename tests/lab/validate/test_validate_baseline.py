"""The baseline that a run with the node's three networks leaves for the monitor."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydicom import Dataset
from untrained import seeded_state

from xrv_node.lab.baseline import sample
from xrv_node.lab.baseline.header_fields import Facts, facts
from xrv_node.lab.validate import score_dataset, store_with_labels
from xrv_node.lab.validate.run import validate
from xrv_node.lab.validate.run_store import ImageResult, RunStore
from xrv_node.models import catalog, convert, model_dir, weights
from xrv_node.models.architectures import layout

NETWORKS = ("densenet121-res224-all", "chestx_det", "101-elastic")
ROWS = 4


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory with seeded weights; of the segmenter, which does not run, a file with one tensor."""
    directory = tmp_path_factory.mktemp("models")
    model_dir.make_ready(directory)
    for name in NETWORKS:
        entry = catalog.find(name)
        if entry.role == "segmenter":
            state, shapes = {"classification.bias": np.zeros(14, np.float32)}, {}
            shapes["classification.bias"] = ("float32", (14,))
        else:
            state = {key: value.numpy() for key, value in seeded_state(entry).items()}
            shapes = layout(entry.network, entry.untrained)
        record = {
            "name": entry.name,
            "source_file": "seeded",
            "source_sha256": hashlib.sha256(name.encode()).hexdigest(),
            "imported_at": "2026-03-01T00:00:00+00:00",
            "xrv_node": "0",
            "settings": "{}",
        }
        convert.write([state], shapes, entry.weights_path(directory), record)
    return directory


def plan(dataset: Path) -> score_dataset.Plan:
    return score_dataset.Plan(
        "nih",
        dataset,
        "all",
        views=("*",),
        unique_patients=False,
        limit=ROWS,
        batch=4,
        workers=0,
        device="cpu",
    )


def test_the_baseline_holds_the_runs_scores_and_torchxrayvisions_reconstruction(
    dataset: Path, installed: Path, tmp_path: Path
):
    xrv = pytest.importorskip("torchxrayvision")
    silent = nullcontext(lambda _done, _of: None)
    told, written = validate(plan(dataset), installed, tmp_path, lambda _: silent)
    assert tmp_path / "baseline.npz" in written
    found = sample.load(tmp_path / "baseline.npz")
    assert found.what == f"nih, validated {told.about.date[:10]}"
    assert found.model_set == weights.model_set(NETWORKS, installed).digest
    again = score_dataset.score(plan(dataset), installed, tmp_path)
    scores = store_with_labels.labelled_scores(again.table, again.labels, again.store, again.rows)
    again.store.close()
    assert (len(found), tuple(found.scores)) == (ROWS, scores.pathologies)
    np.testing.assert_array_equal(np.stack(list(found.scores.values()), axis=1), scores.scores)
    assert (found.numbers, found.words) == ({}, {})  # pictures have no headers
    theirs = xrv.autoencoders.ResNetAE(weights=None)
    theirs.load_state_dict(seeded_state(catalog.find("101-elastic")))
    theirs.eval()
    images = xrv.datasets.NIH_Dataset(
        imgpath=str(dataset / "images"), csvpath=str(dataset / "Data_Entry_2017_v2020.csv"), views=["*"],
        unique_patients=False, transform=lambda x: xrv.datasets.XRayResizer(224)(xrv.datasets.XRayCenterCrop()(x)),
    )  # fmt: skip
    with torch.no_grad():
        x = torch.stack([torch.from_numpy(images[int(row)]["img"]) for row in again.rows])
        z = theirs.encode(x)
        errors = (x - theirs.decode(z)).abs().mean(dim=(1, 2, 3))
    np.testing.assert_allclose(found.reconstruction_error, errors.numpy(), rtol=1e-4)
    np.testing.assert_allclose(found.embedding, z.mean(dim=(2, 3)).numpy(), rtol=1e-3, atol=1e-4)


def test_headers_are_in_it_where_every_image_has_one_and_a_patient_is_in_it_once(
    dataset: Path, installed: Path, tmp_path: Path
):
    scored = score_dataset.score(replace(plan(dataset), limit=1), installed, tmp_path)
    scored.store.close()

    def baseline(name: str, headers: list[Facts | None], apart: int = 2) -> sample.Sample:
        store = RunStore(tmp_path / name, {})
        flat = np.zeros(len(scored.labels), np.float32)
        store.add(
            ImageResult(apart * i, "", flat, flat, 1.0, None, np.zeros(512, np.float32), header)
            for i, header in enumerate(headers)
        )
        made = store_with_labels.baseline(replace(scored, store=store), "here")
        store.close()
        assert made is not None
        return made

    read = Dataset()
    read.Manufacturer, read.KVP = "ACME", "110"
    header = facts(read)
    both = baseline("both.sqlite", [header, header])
    assert both.words["Manufacturer"] == ("ACME", "ACME")
    assert both.numbers["KVP"].tolist() == [110, 110]
    assert baseline("one.sqlite", [header, None]).words == {}
    assert len(baseline("patients.sqlite", [header] * 12, apart=1)) == 6


def test_without_all_three_networks_or_scores_there_is_none(dataset: Path, installed: Path, tmp_path: Path):
    scored = score_dataset.score(replace(plan(dataset), limit=1), installed, tmp_path / "out")
    assert store_with_labels.baseline(scored, "here") is not None
    assert store_with_labels.baseline(replace(scored, labels=()), "here") is None
    assert (
        store_with_labels.baseline(replace(scored, networks=replace(scored.networks, identity=None)), "here")
        is None
    )
    scored.store.close()
