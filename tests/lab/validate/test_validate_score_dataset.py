"""A run: the scores are torchxrayvision's, and whatever interrupts it, nothing is scored twice or lost."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import forked
import numpy as np
import pytest
import torch
from serving import with_networks
from untrained import seeded_state

from xrv_node.errors import DatasetError, XrvNodeError
from xrv_node.lab.validate import score_dataset, store_with_labels
from xrv_node.lab.validate.read_images import PreparedImages, batches
from xrv_node.lab.validate.run_store import ImageResult, RunStore
from xrv_node.models import catalog

PLAN = score_dataset.Plan(
    "nih",
    Path(),
    "all",
    views=("*",),
    unique_patients=False,
    batch=4,
    workers=0,
    device="cpu",
)


def score(folder: Path, out: Path, **changed: object) -> score_dataset.ScoredDataset:
    return score_dataset.score(replace(PLAN, images=folder, **changed), out / "models", out)


def test_the_scores_are_those_of_torchxrayvision(dataset: Path, tmp_path: Path):
    xrv = pytest.importorskip("torchxrayvision")
    found = score(dataset, tmp_path / "out")
    theirs = xrv.models.DenseNet(weights=None, op_threshs=torch.tensor(catalog.find("all").thresholds))
    theirs.load_state_dict(seeded_state(catalog.find("all")), strict=False)
    theirs.eval()
    images = xrv.datasets.NIH_Dataset(
        imgpath=str(dataset / "images"), csvpath=str(dataset / "Data_Entry_2017_v2020.csv"), views=["*"],
        unique_patients=False, transform=lambda x: xrv.datasets.XRayResizer(224)(xrv.datasets.XRayCenterCrop()(x)),
    )  # fmt: skip
    heads = xrv.datasets.default_pathologies
    columns = [heads.index(label) for label in found.labels]
    with torch.no_grad():
        expected = theirs(torch.stack([torch.from_numpy(images[i]["img"]) for i in range(12)]))[:, columns]
    ours = store_with_labels.labelled_scores(found.table, found.labels, found.store, found.rows)
    assert np.allclose(ours.scores, expected.numpy(), atol=1e-4)
    assert np.array_equal(ours.labels[:, found.labels.index("Effusion")], np.arange(12) % 3 == 0)
    assert np.ptp(ours.scores, axis=0).max() > 0.01
    assert found.unknown == ()
    assert ours.patientid.tolist() == [str(i // 2) for i in range(12)]
    found.store.close()


def test_reading_in_processes_gives_the_same_inputs(dataset: Path, tmp_path: Path):
    found = score(dataset, tmp_path / "out", limit=1)
    (dataset / "images" / "00000003_000.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing else")
    images = PreparedImages(found.table, np.arange(12), (224,), "skimage")
    here, beside = (list(batches(images, 5, workers)) for workers in (0, 1))
    found.store.close()
    assert [[item.row for item in batch.good] for batch in beside] == [
        [0, 1, 2, 4],
        [5, 6, 7, 8, 9],
        [10, 11],
    ]
    assert [(item.row, item.why_not) for batch in beside for item in batch.bad] == [
        (3, "The PNG picture is damaged: it does not state its size.")
    ]
    for one, other in zip(here, beside, strict=True):
        assert np.array_equal(one.inputs[224], other.inputs[224])


def test_what_cannot_be_read_is_left_out_with_its_reason_and_tried_again(dataset: Path, tmp_path: Path):
    lost = dataset / "images" / "00000005_000.png"
    content = lost.read_bytes()
    lost.unlink()
    found = score(dataset, tmp_path / "out")
    assert store_with_labels.left_out(found.store, found.rows) == {
        "The file cannot be read (No such file or directory).": 1
    }
    assert len(store_with_labels.labelled_scores(found.table, found.labels, found.store, found.rows)) == 11
    found.store.close()
    lost.write_bytes(content)
    # what the table says of the image has not changed: a file that comes back is the same row
    again = score(dataset, tmp_path / "out")
    assert again.store.done(answered=True).tolist() == list(range(12))
    again.store.close()


def test_a_larger_limit_goes_on_from_a_smaller_one(dataset: Path, tmp_path: Path):
    told: list[tuple[int, int]] = []
    first = score(dataset, tmp_path / "out", limit=4)
    first.store.close()
    again = score_dataset.score(
        replace(PLAN, images=dataset, limit=10), tmp_path, tmp_path / "out", lambda *done: told.append(done)
    )
    assert set(first.rows) < set(again.rows)
    assert told[0] == (4, 10)
    assert told[-1] == (10, 10)
    assert again.store.done().tolist() == again.rows.tolist()
    again.store.close()


def test_another_dataset_network_or_resampler_is_refused_by_name(dataset: Path, tmp_path: Path):
    score(dataset, tmp_path / "out", limit=2).store.close()
    for changed, word in (
        ({"views": ("PA",)}, r"another choice of images \(--part, --view, --all-images\)"),
        ({"classifier": "nih"}, "another set of networks"),
        ({"resampler": "area"}, "another resampler"),
    ):
        with pytest.raises(XrvNodeError, match=rf"out holds a validation with {word}.*: name another --out"):
            score(dataset, tmp_path / "out", **{"limit": 2, **changed})


def test_two_runs_into_one_folder_are_refused(dataset: Path, tmp_path: Path):
    first = score(dataset, tmp_path / "out", limit=2)
    with pytest.raises(XrvNodeError, match="another validation may be writing it"):
        score(dataset, tmp_path / "out", limit=2)
    first.store.close()


def test_a_damaged_store_is_said(dataset: Path, tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "scores.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(XrvNodeError, match=r"scores\.sqlite is damaged: remove it"):
        score(dataset, tmp_path / "out", limit=2)


def test_no_image_at_all_is_an_error(dataset: Path, tmp_path: Path):
    for image in (dataset / "images").iterdir():
        image.unlink()
    with pytest.raises(DatasetError, match=r"none of 12 images below .* could be scored: The file cannot be"):
        score(dataset, tmp_path / "out")


def test_a_dataset_without_a_common_label_is_refused(tmp_path: Path):
    folder = tmp_path / "MontgomerySet" / "CXR_png"
    folder.mkdir(parents=True)
    (folder / "MCUCXR_0001_0.png").write_bytes(b"")
    (folder / "MCUCXR_0002_1.png").write_bytes(b"")
    with pytest.raises(DatasetError, match="scores none of the labels of nlm-tb"):
        score(tmp_path, tmp_path / "out", dataset="nlm-tb")
    (tmp_path / "MontgomerySet" / "ManualMask" / "leftMask").mkdir(parents=True)
    (tmp_path / "MontgomerySet" / "ManualMask" / "leftMask" / "MCUCXR_0002_1.png").write_bytes(b"")
    with pytest.raises(DatasetError, match="or --weights, compare its masks with --segment"):
        score(tmp_path, tmp_path / "out", dataset="nlm-tb")


def test_heat_maps_are_compared_with_the_owners_boxes(dataset: Path, tmp_path: Path):
    xrv = pytest.importorskip("torchxrayvision")
    (dataset / "BBox_List_2017.csv").write_text(
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
        "00000000_000.png,Effusion,0,600,480,424\n"
        "00000003_000.png,Effusion,100.5,200,640,300\n"
        "00000006_000.png,Effusion,0,0,1024,1024\n"
    )
    found = score(dataset, tmp_path / "out", localise=True)
    marked = {r.row: one for r in found.store.results() for one in r.marked}
    assert {row: one.finding for row, one in marked.items()} == dict.fromkeys((0, 3, 6), "Effusion")
    images = xrv.datasets.NIH_Dataset(
        imgpath=str(dataset / "images"), csvpath=str(dataset / "Data_Entry_2017_v2020.csv"), views=["*"],
        bbox_list_path=str(dataset / "BBox_List_2017.csv"), unique_patients=False, pathology_masks=True,
    )  # fmt: skip
    for row, one in marked.items():
        theirs = images[row]["pathology_masks"][images.pathologies.index("Effusion")]
        assert one.share == pytest.approx(float(theirs.mean()), abs=0.01)
    everywhere = marked[6].pointing
    assert (everywhere.hit, everywhere.energy) == (True, pytest.approx(1.0))
    (summed,) = store_with_labels.localisation(found)
    assert summed.hits.value == np.mean([one.pointing.hit for one in marked.values()])
    assert summed.energy == pytest.approx(np.mean([one.pointing.energy for one in marked.values()]))
    found.store.close()
    with pytest.raises(XrvNodeError, match="another choice of --localise"):
        score(dataset, tmp_path / "out")


def test_results_come_back_from_the_file_as_they_were_put_in(tmp_path: Path):
    store = RunStore(tmp_path / "new" / "scores.sqlite", {"dataset": "a"})
    scores = np.array([0.25, np.float32(1 / 3)], np.float32)
    store.add([ImageResult(7, scores=scores, sigmoids=scores / 2, reconstruction_error=3.5, unusual=True)])
    store.add([ImageResult(2, "No such file."), ImageResult(7, scores=scores, sigmoids=scores)])
    salt = store.salt
    store.close()
    again = RunStore(tmp_path / "new" / "scores.sqlite", {"dataset": "a"})
    (only,) = again.results()
    assert (only.row, only.reconstruction_error, only.unusual) == (7, None, None)
    assert np.array_equal(only.scores, scores)
    assert again.salt == salt
    again.close()


@pytest.mark.slow
def test_kill_9_at_any_time_loses_and_repeats_nothing(dataset: Path, tmp_path: Path):
    out = tmp_path / "out"
    command = [
        *(*forked.COMMAND, "validate", "nih", "--images", str(dataset), "--view", "*"),
        *("--all-images", "--workers", "0", "--batch", "1", "--device", "cpu"),
        *("--out", str(out), "--json"),
    ]

    def scored() -> int:
        with sqlite3.connect(out / "scores.sqlite") as db:
            return int(db.execute("SELECT count(*) FROM image").fetchone()[0])

    environment = with_networks(os.environ)
    process = forked.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    changes, end = set[int](), time.monotonic() + 200
    while process.poll() is None and len(changes) < 8 and time.monotonic() < end:
        if (out / "scores.sqlite").exists():
            changes.add((out / "scores.sqlite").stat().st_mtime_ns)  # it is locked, but not its date
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = scored()
    ended = forked.run(command, capture_output=True, text=True, check=True, env=environment)
    told = json.loads(ended.stdout)
    assert 1 <= before < 12
    assert (told["about"]["used"], told["evaluation"]["images"]) == (12, 12)
    assert scored() == 12


def test_heat_maps_are_not_begun_where_nothing_is_marked(dataset: Path, tmp_path: Path):
    with pytest.raises(DatasetError, match=r"nih has no marked regions .*: add the owner's file of them"):
        score(dataset, tmp_path / "out", localise=True)
    assert not (tmp_path / "out").exists()
