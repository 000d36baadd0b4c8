"""What annotators marked stays in the table: beside maps that are empty, outside of the square, not scored."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner
from validate_cases import large

from xrv_node.cli import app
from xrv_node.lab.statistics.intervals import UNDEFINED
from xrv_node.lab.statistics.overlap import Pointing
from xrv_node.lab.validate import csv_tables, networks, page, read_images, store_with_labels
from xrv_node.lab.validate.run_store import ImageResult, Marked, RunStore
from xrv_node.lab.validate.store_with_labels import Localisation

SQUARE = np.zeros((224, 224), bool)
HIT, MISS = Pointing(True, 0.5, 0.75), Pointing(False, 0.0, 0.0, empty=True)


def boxes(dataset: Path, *lines: str) -> None:
    (dataset / "BBox_List_2017.csv").write_text(
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n" + "".join(f"{line},,,\n" for line in lines)
    )


def run(dataset: Path, out: Path) -> tuple[list[dict[str, str]], dict[str, object], str]:
    done = CliRunner().invoke(
        app,
        [
            *("validate", "nih", "--images", str(dataset), "--out", str(out)),
            *("--view", "*", "--all-images", "--workers", "0", "--device", "cpu", "--localise"),
        ],
    )
    assert done.exit_code == 0, done.output + str(done.exception)
    with (out / "localisation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return rows, json.loads((out / "metrics.json").read_text()), done.output


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_maps_that_are_empty_are_misses_and_counted(dataset: Path, tmp_path: Path, monkeypatch, value: float):
    """Of three marked images one has a map: a third of the hits, where it would have been all."""
    boxes(
        dataset,
        "00000000_000.png,Effusion,0,0,1024,1024",
        "00000003_000.png,Effusion,100,200,640,300",
        "00000006_000.png,Effusion,100,200,640,300",
        "00000001_000.png,Infiltrate,100,200,640,300",
    )
    seen = []

    def cam(classifier: object, x: Tensor, heads: list[int]) -> Tensor:
        seen.append(x)
        return torch.full((1, len(heads), 7, 7), 1.0 if len(seen) == 1 else value)

    monkeypatch.setattr(networks, "grad_cam", cam)
    rows, told, output = run(dataset, tmp_path / "out")
    by_finding = {row["finding"]: row for row in rows}
    effusion = by_finding["Effusion"]
    assert (effusion["number"], effusion["empty"], effusion["outside"]) == ("3", "2", "0")
    assert float(effusion["hits"]) == pytest.approx(1 / 3)
    assert float(effusion["energy"]) == float(effusion["iou"]) == pytest.approx(1 / 3)
    (also,) = (one for one in told["localisation"] if one["finding"] == "Effusion")
    assert (also["number"], also["empty"]) == (3, 2)
    assert "empty maps" in output
    assert "Empty maps" in (tmp_path / "out" / "report.html").read_text()


def test_a_region_that_the_network_does_not_see_is_told_with_its_number():
    outside = [(row, Marked("Mass", None, 0.0)) for row in range(3)]
    patients = np.arange(9)
    only = store_with_labels._localisation("Mass", outside, patients)
    assert only == Localisation("Mass", 0, UNDEFINED, None, None, None, outside=3)
    both = store_with_labels._localisation(
        "Mass", [*outside, (4, Marked("Mass", HIT, 0.2)), (5, Marked("Mass", MISS, 0.4))], patients
    )
    assert (both.number, both.empty, both.outside) == (2, 1, 3)
    assert (both.hits.value, both.iou, both.energy) == (0.5, 0.25, 0.375)
    assert both.by_chance == pytest.approx(0.3)


def test_a_store_keeps_what_lies_outside_and_what_is_empty(tmp_path: Path):
    store = RunStore(tmp_path / "scores.sqlite", {"dataset": "any"})
    marked = (Marked("Mass", None, 0.0), Marked("Nodule", MISS, 0.2), Marked("Hernia", HIT, 0.3))
    store.add([ImageResult(3, scores=np.zeros(2, np.float32), marked=marked)])
    (found,) = store.results()
    assert found.marked == marked
    store.close()


def test_what_is_too_small_for_the_grid_keeps_its_cell():
    """A nodule of two pixels in a radiograph of 3000 would be gone, and with it a marked image."""
    mask = np.zeros((3000, 2000), bool)
    mask[1500:1502, 1000] = True
    grid = read_images._on_grid(mask)
    assert np.argwhere(grid).tolist() == [[112, 112]]
    assert not read_images._on_grid(mask & ~mask).any()
    large = np.zeros((448, 448), bool)
    large[100:200, 50:80] = True
    assert read_images._on_grid(large).sum() == pytest.approx(50 * 15, rel=0.05)


def test_the_page_and_the_table_have_every_marked_finding():
    rows = (
        Localisation("Effusion", 12, replace(UNDEFINED, value=0.5), 0.1, 0.2, 0.3, empty=4, outside=1),
        Localisation("Mass", 0, UNDEFINED, None, None, None, outside=3),
        Localisation("Infiltrate", 0, UNDEFINED, None, None, None, not_scored=7),
    )
    validation = replace(large(), localisation=rows)
    text = page.html(validation)
    assert "1 more outside of the square" in text
    assert "3, all outside of the square" in text
    assert "7, of a finding that the network does not score" in text
    table = list(csv_tables.localisation_rows(validation))
    assert [row["finding"] for row in table] == ["Effusion", "Mass", "Infiltrate"]
    assert [(row["number"], row["empty"], row["outside"], row["not_scored"]) for row in table] == [
        (12, 4, 1, 0),
        (0, 0, 3, 0),
        (0, 0, 0, 7),
    ]
    assert set(table[0]) == set(csv_tables.LOCALISATION_COLUMNS)
